package facts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// hardware returns the device's hardware, which several facts fill.
func hardware(d *pb.Device) *pb.Hardware {
	if d.Hardware == nil {
		d.Hardware = new(pb.Hardware)
	}
	return d.Hardware
}

// plainText makes foreign bytes a text that a report can carry, without the
// control characters and padding that firmware leaves in names.
func plainText(b []byte) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ReplaceAll(softwareText(b), "\n", " "))
	return strings.TrimSpace(text)
}

// lastElement returns what follows the last slash, such as the name of a
// driver in the link to it.
func lastElement(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// learnName gives the device the name that it calls itself, without its domain.
func learnName(_ context.Context, h *host.Host, d *pb.Device) error {
	name, err := hostname(h)
	d.Name, _, _ = strings.Cut(name, ".")
	return err
}

// learnTPM tells whether there is a TPM and of which version.
func learnTPM(_ context.Context, h *host.Host, d *pb.Device) error {
	const class = "sys/class/tpm"
	a := &attributes{h: h}
	if !a.has(class) {
		return fmt.Errorf("the kernel does not deal with TPMs: %w", errors.ErrUnsupported)
	}
	names := a.names(class)
	tpm := &pb.Tpm{Present: proto.Bool(len(names) > 0)}
	if len(names) > 0 {
		switch a.text(class, names[0], "tpm_version_major") {
		case "2":
			tpm.Version = "2.0"
		case "1":
			tpm.Version = "1.2"
		case "":
			// Kernels before 5.6 say it only of the old kind.
			if strings.Contains(a.text(class, names[0], "device/caps"), "TCG version: 1.2") {
				tpm.Version = "1.2"
			}
		}
	}
	hardware(d).Tpm = tpm
	return a.bad.err()
}
