package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type showCommand struct {
	Config   string `env:"ROLLCALL_AGENT_CONFIG" placeholder:"FILE" help:"Configuration file."`
	StateDir string `env:"ROLLCALL_AGENT_STATE_DIR" placeholder:"DIR" help:"The agent's state folder, if not the configured one."`
	Output   string `short:"o" enum:"text,json" default:"text" help:"Format: text, which sums up, or json, which has every value."`
}

// Run tells the device's user what was reported.
func (c showCommand) Run(world outside) error {
	dir := c.StateDir
	if dir == "" {
		s, err := configFlags{Config: c.Config}.settings()
		if err != nil {
			return err
		}
		dir = s.StateDir
	}
	r, err := report.ReadReported(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("nothing was reported yet: %w; rollcall-agent collect prints what would be", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the state folder is its owner's only, try as administrator; rollcall-agent collect prints what you may see of it yourself", err)
	case err != nil:
		return err
	}
	o, err := r.Observation()
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return showJSON(world.stdout, r, o)
	}
	return showText(world.stdout, r, o)
}

// showJSON prints every value that was reported, and to whom.
func showJSON(w io.Writer, r report.Reported, o *pb.Observation) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(o)
	if err != nil {
		return fmt.Errorf("print what was reported: %w", err)
	}
	all, err := json.Marshal(struct {
		Collector   string          `json:"collector"`
		AgentID     string          `json:"agent_id"`
		AssetID     string          `json:"asset_id,omitempty"`
		ReportedAt  time.Time       `json:"reported_at"`
		Observation json.RawMessage `json:"observation"`
	}{r.Collector, r.AgentID, r.AssetID, r.At, raw})
	if err != nil {
		return fmt.Errorf("print what was reported: %w", err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, all, "", "  "); err != nil {
		return fmt.Errorf("print what was reported: %w", err)
	}
	text.WriteByte('\n')
	_, err = text.WriteTo(w)
	return err
}

// showText sums up in plain words what was reported.
func showText(w io.Writer, r report.Reported, o *pb.Observation) error {
	fmt.Fprintf(w, "This device is reported to the Rollcall collector %s.\n", r.Collector)
	fmt.Fprintf(w, "It was reported last on %s, as agent %s", stamp(r.At), r.AgentID)
	if r.AssetID != "" {
		fmt.Fprintf(w, ", which is asset %s", r.AssetID)
	}
	fmt.Fprintf(w, ".\nWhat the collector knows from it:\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range r.Sections {
		said := words(s.Name, o.GetDevice())
		switch {
		case s.State == section.Complete && s.Reason != "":
			said = strings.TrimPrefix(said+"; "+s.Reason, "; ")
		case s.State == section.Complete && said == "":
			said = "nothing"
		case s.State != section.Complete:
			said = strings.TrimPrefix(said+"; "+s.State+": "+cmp.Or(s.Reason, "no reason given"), "; ")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Name, s.At.UTC().Format("2006-01-02 15:04Z"), said)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	list(w, "What could not be learnt, which the collector was told:", len(r.Problems), func(i int) string {
		return r.Problems[i].Fact + ": " + r.Problems[i].Error
	})
	fmt.Fprintf(w, "\nNot reported: what is in your documents, mails and messages, what you type, which pages you visit, where the device is.\n"+
		"Every value: rollcall-agent show -o json\n")
	return nil
}

// words sums up one section.
func words(name string, d *pb.Device) string {
	switch name {
	case section.Hardware:
		return hardwareWords(d)
	case section.OS:
		o := d.GetOs()
		return sentence(strings.TrimSpace(o.GetName()+" "+o.GetVersion()), named("kernel", o.GetKernel()), named("language", o.GetLanguage()), named("time zone", o.GetTimezone()))
	case section.Patch:
		p := d.GetPatch()
		return sentence(many(len(p.GetPending()), "update pending", "updates pending"), many(len(p.GetInstalled()), "update installed", "updates installed"),
			named("automatic updates", p.GetAutoUpdate()))
	case section.Software:
		return softwareWords(d.GetSoftware())
	case section.Security:
		return securityWords(d)
	case section.Users:
		u := d.GetPrimaryUser()
		return sentence(named("who uses it most", u.GetName()), named("mail", u.GetEmail()))
	case section.Network:
		n := d.GetNetwork()
		return sentence(named("host name", n.GetHostname()), named("domain", n.GetDomain()),
			many(len(n.GetInterfaces()), "network interface with its addresses", "network interfaces with their addresses"))
	case section.Storage:
		return many(len(d.GetStorage().GetVolumes()), "volume with its size and free space", "volumes with their sizes and free space")
	case section.Peripherals:
		h := d.GetHardware()
		return sentence(many(len(h.GetDisplays()), "display", "displays"), many(len(h.GetUsb()), "USB device", "USB devices"), many(len(h.GetPrinters()), "printer", "printers"))
	}
	return ""
}

func hardwareWords(d *pb.Device) string {
	h := d.GetHardware()
	memory := ""
	if h.GetMemoryBytes() > 0 {
		memory = fmt.Sprintf("%d MiB of memory", h.GetMemoryBytes()>>20)
	}
	return sentence(strings.TrimSpace(h.GetManufacturer()+" "+h.GetModel()), named("serial", h.GetSerial()), named("name", d.GetName()),
		named("processor", h.GetCpu().GetModel()), memory, many(len(h.GetDisks()), "disk", "disks"))
}

func softwareWords(rows []*pb.Software) string {
	kinds := map[string]int{}
	for _, s := range rows {
		kinds[s.GetKind()]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	if len(rows) == 0 {
		return ""
	}
	return many(len(rows), "program with its version", "programs with their versions") + " (" + strings.Join(parts, ", ") + ")"
}

func securityWords(d *pb.Device) string {
	s := d.GetSecurity()
	return sentence(named("disk encryption", s.GetDiskEncryption().GetState()), named("firewall", s.GetFirewall().GetState()),
		named("screen lock", s.GetScreenLock().GetState()), many(len(s.GetAntivirus()), "antivirus program", "antivirus programs"),
		named("administrators", strings.Join(s.GetLocalAdmins(), " ")), named("remote access by", strings.Join(s.GetRemoteAccess(), " ")))
}

// sentence joins what there is to say.
func sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ", ")
}

func named(what, value string) string {
	if value == "" {
		return ""
	}
	return what + " " + value
}

func many(n int, one, more string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
