package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// sheet is an asset laid out for reading: headings with labelled lines; what
// nobody states is left out.
type sheet struct {
	w     *tabwriter.Writer
	err   error
	title string
}

func (s *sheet) head(title string) { s.title = title }

func (s *sheet) line(label, value string) {
	if value = strings.TrimSpace(plain(value)); value == "" || s.err != nil {
		return
	}
	if s.title != "" {
		_, s.err = fmt.Fprintf(s.w, "\n%s\n", s.title)
		s.title = ""
	}
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, "  %s\t%s\n", label, value)
	}
}

func yes(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

func number(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// show prints an asset for people.
func (a *app) show(x *pb.Asset, states *pb.GetAssetSourceStatesResponse) error {
	s := &sheet{w: tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)}
	_, s.err = fmt.Fprintf(s.w, "%s  (%s)\n", plain(x.GetName()), x.GetId())
	s.line("class", x.GetClass())
	s.line("stage", x.GetStage())
	s.line("last seen", a.ago(x.GetLastSeen()))
	s.line("first seen", a.ago(x.GetFirstSeen()))
	for _, k := range keys(x.GetLabels()) {
		s.line("label "+k, x.GetLabels()[k])
	}
	s.line("formerly", strings.Join(x.GetRedirects(), ", "))
	s.hardware(x.GetHardware())
	a.system(s, x)
	s.places(x)
	a.sources(s, x, states)
	if s.err != nil {
		return s.err
	}
	return s.w.Flush()
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *sheet) hardware(h *pb.Hardware) {
	s.head("Hardware")
	s.line("model", h.GetManufacturer()+" "+h.GetModel())
	s.line("serial", h.GetSerial())
	s.line("uuid", h.GetUuid())
	s.line("asset tag", h.GetAssetTag())
	s.line("chassis", h.GetChassis())
	s.line("hypervisor", h.GetHypervisor())
	cpu := h.GetCpu()
	s.line("cpu", strings.TrimSpace(cpu.GetModel()))
	if cpu.GetThreads() > 0 {
		s.line("cores", fmt.Sprintf("%s (%s threads)", or(number(cpu.Cores), "?"), number(cpu.Threads)))
	}
	s.line("memory", size(h.GetMemoryBytes()))
	s.line("firmware", strings.Join([]string{h.GetFirmware().GetVendor(), h.GetFirmware().GetVersion(), h.GetFirmware().GetDate()}, " "))
	for _, d := range h.GetDisks() {
		s.line("disk "+d.GetName(), strings.Join([]string{size(d.GetSizeBytes()), d.GetKind(), d.GetModel(), d.GetSerial()}, " "))
	}
	for _, d := range h.GetDisplays() {
		s.line("display", strings.Join([]string{d.GetManufacturer(), d.GetModel(), d.GetSerial()}, " "))
	}
}

func (a *app) system(s *sheet, x *pb.Asset) {
	o, p, sec := x.GetOs(), x.GetPatch(), x.GetSecurity()
	s.head("System")
	s.line("os", system(o)+" "+o.GetBuild())
	s.line("kernel", o.GetKernel()+" "+o.GetArchitecture())
	s.line("booted", a.ago(o.GetBootedAt()))
	s.line("timezone", o.GetTimezone())
	if x.SoftwareCount != nil {
		s.line("software", fmt.Sprintf("%d titles (rollcall software %s)", x.GetSoftwareCount(), x.GetId()))
	}
	s.head("Patches")
	s.line("last updated", a.ago(p.GetLastUpdated()))
	s.line("checked", a.ago(p.GetCheckedAt()))
	if p.GetPendingCount() != nil || p.GetCheckedAt() != nil {
		var counts []string
		for _, k := range keys(p.GetPendingCount()) {
			counts = append(counts, fmt.Sprintf("%d %s", p.GetPendingCount()[k], k))
		}
		s.line("pending", or(strings.Join(counts, ", "), "none"))
	}
	if p != nil {
		s.line("reboot required", yes(p.RebootRequired))
	}
	s.line("auto update", p.GetAutoUpdate())
	s.head("Security")
	s.line("disk encryption", sec.GetDiskEncryption().GetState()+" "+sec.GetDiskEncryption().GetMethod())
	s.line("firewall", sec.GetFirewall().GetState()+" "+sec.GetFirewall().GetName())
	if sec != nil {
		s.line("secure boot", yes(sec.SecureBoot))
	}
	s.line("integrity", sec.GetIntegrityProtection().GetName()+" "+sec.GetIntegrityProtection().GetState())
	s.line("local admins", strings.Join(sec.GetLocalAdmins(), ", "))
}

func (s *sheet) places(x *pb.Asset) {
	s.head("Network")
	s.line("host name", or(x.GetNetwork().GetFqdn(), x.GetNetwork().GetHostname()))
	for _, i := range x.GetNetwork().GetInterfaces() {
		if i.GetKind() != "loopback" {
			s.line(i.GetName(), strings.Join(append([]string{i.GetMac()}, i.GetAddresses()...), " "))
		}
	}
	s.head("Storage")
	for _, v := range x.GetStorage().GetVolumes() {
		free := ""
		if v.FreeBytes != nil {
			free = ", " + or(size(v.GetFreeBytes()), "0 B") + " free"
		}
		s.line(v.GetMount(), size(v.GetSizeBytes())+" "+v.GetFilesystem()+free)
	}
	s.head("People and purchase")
	s.line("owner", or(x.GetOwner().GetName(), x.GetOwner().GetEmail()))
	s.line("primary user", or(x.GetPrimaryUser().GetEmail(), x.GetPrimaryUser().GetName()))
	s.line("location", strings.Join([]string{x.GetLocation().GetSite(), x.GetLocation().GetBuilding(), x.GetLocation().GetRoom()}, " "))
	s.line("ordered", x.GetPurchase().GetOrderedAt()+" "+x.GetPurchase().GetVendor())
	s.line("warranty ends", x.GetWarranty().GetEnd())
}

func (a *app) sources(s *sheet, x *pb.Asset, states *pb.GetAssetSourceStatesResponse) {
	s.head("Sources")
	for _, src := range x.GetSources() {
		s.line(src.GetSource(), src.GetSourceId()+", last seen "+a.ago(src.GetLastSeen()))
	}
	for _, c := range x.GetConflicts() {
		s.line("conflict", c.GetField())
	}
	for _, st := range states.GetSources() {
		for _, sec := range st.GetSections() {
			if sec.GetState() != "complete" {
				s.line(sec.GetName(), sec.GetState()+": "+sec.GetReason())
			}
		}
		for _, p := range st.GetProblems() {
			s.line("problem "+p.GetFact(), p.GetError())
		}
	}
}
