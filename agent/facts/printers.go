package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	printersFile    = "etc/cups/printers.conf"
	maxPrintersFile = 4 << 20
)

// learnPrinters lists the printers that CUPS was told of. Those that it finds
// in the network by itself are not kept in a file.
func learnPrinters(_ context.Context, h *host.Host, d *pb.Device) error {
	data, err := h.ReadFile(printersFile, maxPrintersFile)
	if missing(err) {
		return fmt.Errorf("no printers: %w", errors.ErrUnsupported)
	}
	printers := decodePrinters(data)
	if len(printers) > maxPeripherals {
		err = errors.Join(err, fmt.Errorf("%d printers, of which a report lists %d", len(printers), maxPeripherals))
		printers = printers[:maxPeripherals]
	}
	if len(printers) > 0 {
		hardware(d).Printers = printers
	}
	return err
}

// decodePrinters reads a printers.conf: sections <Printer name> with lines of a
// directive and its value. See printers.conf(5).
func decodePrinters(data []byte) []*pb.Printer {
	var out []*pb.Printer
	var p *pb.Printer
	for raw := range bytes.Lines(data) {
		line := strings.TrimSpace(string(raw))
		tag, inTag := strings.CutPrefix(line, "<")
		tag, closed := strings.CutSuffix(tag, ">")
		if inTag && closed {
			p = nil
			kind, name, ok := strings.Cut(tag, " ")
			if ok && (kind == "Printer" || kind == "DefaultPrinter") {
				p = &pb.Printer{Name: softwareText([]byte(name))}
				out = append(out, p)
			}
			continue
		}
		directive, value, _ := strings.Cut(line, " ")
		switch value = softwareText([]byte(cupsUnescape(value))); {
		case p == nil:
		case directive == "MakeModel":
			p.Driver = value
		case directive == "DeviceURI":
			p.Port = withoutUser(value)
		}
	}
	slices.SortFunc(out, func(a, b *pb.Printer) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// cupsUnescape takes back the backslashes that CUPS puts before a backslash and
// a hash.
func cupsUnescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\#`, `#`).Replace(s)
}

// withoutUser leaves the name and the password out of an address, by which a
// print server knows people. Passwords can have any character in them, so that
// all up to the last @ is taken for one, though it might be a queue's name.
func withoutUser(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return address
}
