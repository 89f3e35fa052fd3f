package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/report"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type collectCommand struct {
	Output string `short:"o" enum:"json" default:"json" help:"Format: json."`
	From   string `placeholder:"DIR" help:"Learn the machine that was captured into DIR instead of this one."`
}

// Run prints the observation of this machine, or of a captured one.
func (c collectCommand) Run(world outside) error {
	h := host.Live()
	if c.From != "" {
		var err error
		if h, err = host.Replay(c.From); err != nil {
			return err
		}
	}
	o := facts.Observe(context.Background(), h, facts.Options{})
	if c.From == "" {
		o.SourceId = machine(h, o).Hostname
	} else {
		o.SourceId = o.GetDevice().GetNetwork().GetHostname()
	}
	return printObservation(world, o)
}

// printObservation prints an observation as JSON.
func printObservation(world outside, o *pb.Observation) error {
	out, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(o)
	if err != nil {
		return fmt.Errorf("print the observation: %w", err)
	}
	// protojson varies its white space from build to build, on purpose.
	var text bytes.Buffer
	if err := json.Indent(&text, out, "", "  "); err != nil {
		return fmt.Errorf("print the observation: %w", err)
	}
	text.WriteByte('\n')
	_, err = text.WriteTo(world.stdout)
	return err
}

// machine gathers what the report client needs to know of where it runs.
func machine(h *host.Host, o *pb.Observation) report.Machine {
	d := o.GetDevice()
	m := report.Machine{
		Hostname: d.GetNetwork().GetHostname(), BootID: strings.ReplaceAll(line(h.FS, "proc/sys/kernel/random/boot_id"), "-", ""),
		IDs: map[string]string{
			report.IDSystemUUID:  d.GetHardware().GetUuid(),
			report.IDSerial:      d.GetHardware().GetSerial(),
			report.IDBoardSerial: d.GetHardware().GetBoardSerial(),
			report.IDMachine:     machineID(h),
		},
	}
	if m.Hostname == "" {
		m.Hostname, _ = os.Hostname()
	}
	if t := d.GetOs().GetBootedAt(); m.BootID == "" && t.IsValid() {
		// Systems without a boot id: the minute, since it is computed anew from
		// a clock that is corrected meanwhile.
		m.BootID = t.AsTime().Round(time.Minute).Format("2006-01-02T15:04Z")
	}
	return m
}

// machineID returns what the installed system calls itself: /etc/machine-id, on
// Windows the MachineGuid that Setup makes. macOS has none but IOPlatformUUID,
// which is the hardware's UUID. Images carry it along, unless they were prepared.
func machineID(h *host.Host) string {
	if h.OS != "windows" {
		return line(h.FS, "etc/machine-id")
	}
	k, err := h.RegistryKey(`HKLM\SOFTWARE\Microsoft\Cryptography`)
	if err != nil {
		return ""
	}
	v, _ := k.Value("MachineGuid")
	id, _ := v.Text()
	if len(id) > 256 {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(id))
}

// line returns the one line that a small file holds, or nothing.
func line(fsys fs.FS, name string) string {
	b, err := fs.ReadFile(fsys, name)
	if err != nil || len(b) > 256 {
		return ""
	}
	return strings.TrimSpace(string(b))
}
