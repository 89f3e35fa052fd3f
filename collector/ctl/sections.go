package main

import (
	"strconv"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func (s *sheet) hardware(h *pb.Hardware) {
	s.heading("Hardware")
	if h == nil {
		return
	}
	s.row("Model", phrase(h.GetManufacturer(), h.GetModel()))
	s.row("Serial", h.GetSerial())
	s.row("UUID", h.GetUuid())
	s.row("Asset tag", h.GetAssetTag())
	s.row("Chassis", h.GetChassis())
	s.row("Virtual", phrase(yes(h.Virtual), h.GetHypervisor()))
	s.row("Cloud", phrase(h.GetCloud().GetProvider(), h.GetCloud().GetInstanceType(), h.GetCloud().GetRegion(), h.GetCloud().GetInstanceId()))
	s.row("Firmware", phrase(h.GetFirmware().GetVendor(), h.GetFirmware().GetVersion(), h.GetFirmware().GetDate()))
	if c := h.GetCpu(); c != nil {
		s.row("CPU", list(c.GetModel(), c.GetArchitecture(), number(c.Sockets, "sockets"), number(c.Cores, "cores"), number(c.Threads, "threads")))
	}
	s.row("Memory", size(h.MemoryBytes))
	for _, d := range h.GetDisks() {
		s.row("Disk "+d.GetName(), list(size(d.SizeBytes), d.GetKind(), d.GetModel(), d.GetSerial(), d.GetHealth()))
	}
	for _, g := range h.GetGpus() {
		s.row("GPU", list(phrase(g.GetVendor(), g.GetName()), size(g.MemoryBytes)))
	}
	for _, d := range h.GetDisplays() {
		s.row("Display", list(phrase(d.GetManufacturer(), d.GetModel()), d.GetSerial(), number(d.Year, "")))
	}
	if b := h.GetBattery(); b != nil {
		s.row("Battery", list(number(b.HealthPct, "% health"), number(b.CycleCount, "cycles")))
	}
	if t := h.GetTpm(); t != nil {
		s.row("TPM", phrase(yes(t.Present), t.GetVersion()))
	}
}

func (s *session) showOS(sh *sheet, o *pb.Os) {
	sh.heading("OS")
	if o == nil {
		return
	}
	sh.row("System", phrase(osName(o), o.GetEdition()))
	sh.row("Build", o.GetBuild())
	sh.row("Kernel", phrase(o.GetKernel(), o.GetArchitecture()))
	sh.row("Language", o.GetLanguage())
	sh.row("Time zone", o.GetTimezone())
	sh.row("Installed", s.ago(o.GetInstalledAt()))
	sh.row("Booted", s.ago(o.GetBootedAt()))
	sh.row("Supported", yes(o.Supported))
	sh.row("End of life", o.GetEol())
}

func (s *sheet) network(n *pb.Network) {
	s.heading("Network")
	s.row("Host name", or(n.GetFqdn(), n.GetHostname()))
	s.row("Domain", n.GetDomain())
	s.row("Last address", n.GetLastAddress())
	s.row("Public address", n.GetPublicAddress())
	for _, i := range n.GetInterfaces() {
		s.row("Interface "+i.GetName(), list(append([]string{i.GetKind(), i.GetMac()}, i.GetAddresses()...)...))
	}
}

func (s *sheet) storage(st *pb.Storage) {
	s.heading("Storage")
	for _, v := range st.GetVolumes() {
		free := size(v.FreeBytes)
		if free != "" {
			free += " free"
		}
		encrypted := ""
		if v.GetEncrypted() {
			encrypted = "encrypted"
		}
		s.row(v.GetMount(), list(v.GetFilesystem(), size(v.SizeBytes), free, encrypted))
	}
}

func (s *session) showPatch(sh *sheet, p *pb.Patch) {
	sh.heading("Patch")
	if p == nil {
		return
	}
	sh.row("Checked", s.ago(p.GetCheckedAt()))
	sh.row("Last updated", s.ago(p.GetLastUpdated()))
	sh.row("Automatic", p.GetAutoUpdate())
	sh.row("Reboot required", phrase(yes(p.RebootRequired), list(p.GetRebootReasons()...)))
	sh.row("Pending", pairs(p.GetPendingCount()))
	const most = 10
	for i, u := range p.GetPending() {
		if i == most {
			sh.row("Update", "and "+strconv.Itoa(len(p.GetPending())-most)+" more: see -o json")
			break
		}
		sh.row("Update", list(phrase(u.GetId(), u.GetVersion()), u.GetSeverity(), u.GetTitle()))
	}
}

func (s *sheet) security(x *pb.Security) {
	s.heading("Security")
	if x == nil {
		return
	}
	s.row("Disk encryption", phrase(x.GetDiskEncryption().GetState(), x.GetDiskEncryption().GetMethod()))
	s.row("Firewall", phrase(x.GetFirewall().GetState(), x.GetFirewall().GetName()))
	s.row("Secure boot", yes(x.SecureBoot))
	if l := x.GetScreenLock(); l != nil {
		s.row("Screen lock", phrase(l.GetState(), number(l.Seconds, "s")))
	}
	for _, a := range x.GetAntivirus() {
		up := yes(a.UpToDate)
		if up != "" {
			up = "up to date: " + up
		}
		on := yes(a.Enabled)
		if on != "" {
			on = "enabled: " + on
		}
		s.row("Antivirus", list(a.GetName(), on, up))
	}
	s.row("Integrity", phrase(x.GetIntegrityProtection().GetName(), x.GetIntegrityProtection().GetState()))
	s.row("Gatekeeper", yes(x.Gatekeeper))
	s.row("Local admins", list(x.GetLocalAdmins()...))
	s.row("Remote access", list(x.GetRemoteAccess()...))
}

// showSources tells who said what is shown, and what they could not find out.
func (s *session) showSources(sh *sheet, a *pb.Asset, states []*adminpb.SourceState) {
	sh.heading("Sources")
	for _, src := range a.GetSources() {
		sh.row(src.GetSource(), list(src.GetKind(), src.GetSourceId(), "seen "+s.ago(src.GetLastSeen())))
	}
	for _, c := range a.GetConflicts() {
		who := make([]string, 0, len(c.GetValues()))
		for _, v := range c.GetValues() {
			who = append(who, v.GetSource()+" says "+plainValue(v.GetValue()))
		}
		sh.row("Disagree on "+c.GetField(), list(who...))
	}
	for _, st := range states {
		sh.heading("What " + st.GetSource() + " could say")
		for _, x := range st.GetSections() {
			sh.row("Section "+x.GetName(), list(x.GetState(), x.GetReason()))
		}
		for _, p := range st.GetProblems() {
			sh.row("Problem", phrase(list(p.GetSection(), p.GetFact())+":", p.GetError()))
		}
	}
}
