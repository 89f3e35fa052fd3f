package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnMacEncryption tells whether FileVault encrypts the data volume.
func learnMacEncryption(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandFileVault)
	// fdesetup fails with some of its answers.
	if state := fileVaultState(string(out)); state != "" {
		security(d).DiskEncryption = &pb.DiskEncryption{State: state, Method: "filevault"}
		return nil
	}
	return cmp.Or(err, fmt.Errorf("fdesetup says %.80q, which is not understood", out))
}

// fileVaultState reads "FileVault is On." and what can stand there instead; ""
// for what is none of it. While it is at work on the disk, part of that is
// readable to anybody.
func fileVaultState(text string) string {
	switch {
	case strings.Contains(text, "Encryption in progress"), strings.Contains(text, "Decryption in progress"), strings.Contains(text, "encryption is pending"):
		return "partial"
	case strings.Contains(text, "FileVault is On"):
		return "on"
	case strings.Contains(text, "FileVault is Off"):
		return "off"
	}
	return ""
}

// learnMacFirewall tells whether the application firewall is on. Its tool is
// asked first: since macOS 15 the old file of settings may be there but mean
// nothing.
func learnMacFirewall(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandFirewall)
	state := firewallState(string(out))
	if state == "" {
		p, perr := readPlist(h, macPreferences+"/com.apple.alf.plist")
		if n, ok := p.Integer("globalstate"); ok {
			state = map[bool]string{true: "on", false: "off"}[n > 0]
		} else {
			return cmp.Or(errors.Join(perr, err), fmt.Errorf("socketfilterfw says %.80q, which is not understood", out))
		}
	}
	security(d).Firewall = &pb.Firewall{Name: "alf", State: state}
	return nil
}

// firewallState reads "Firewall is enabled. (State = 1)", "Firewall is blocking
// all non-essential incoming connections. (State = 2)" and "Firewall is
// disabled. (State = 0)".
func firewallState(text string) string {
	switch {
	case strings.Contains(text, "State = 0"), strings.Contains(text, "disabled"):
		return "off"
	case strings.Contains(text, "State = "), strings.Contains(text, "enabled"), strings.Contains(text, "blocking all"):
		return "on"
	}
	return ""
}

// learnMacIntegrity tells whether System Integrity Protection is on. Where only
// parts of it are, it is permissive.
func learnMacIntegrity(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandSIP)
	state := sipState(string(out))
	if state == "" {
		return cmp.Or(err, fmt.Errorf("csrutil says %.80q, which is not understood", out))
	}
	security(d).IntegrityProtection = &pb.IntegrityProtection{Name: "sip", State: state}
	return nil
}

func sipState(text string) string {
	_, status, _ := strings.Cut(text, "System Integrity Protection status:")
	status, _, _ = strings.Cut(strings.TrimSpace(status), "\n")
	switch {
	case strings.Contains(status, "Custom Configuration"):
		return "permissive"
	case strings.HasPrefix(status, "enabled"):
		return "on"
	case strings.HasPrefix(status, "disabled"):
		return "off"
	}
	return ""
}

// learnMacGatekeeper tells whether Gatekeeper assesses programs. spctl fails where
// it does not, and says so all the same.
func learnMacGatekeeper(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandGatekeeper)
	switch gatekeeperState(string(out)) {
	case "on":
		security(d).Gatekeeper = proto.Bool(true)
	case "off":
		security(d).Gatekeeper = proto.Bool(false)
	default:
		return cmp.Or(err, fmt.Errorf("spctl says %.80q, which is not understood", out))
	}
	return nil
}

// gatekeeperState reads "assessments enabled", and a line on Developer IDs after
// it where that is asked for.
func gatekeeperState(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	switch strings.TrimSpace(line) {
	case "assessments enabled":
		return "on"
	case "assessments disabled":
		return "off"
	}
	return ""
}

// learnMacSecureBoot tells whether the Mac starts only what is signed, which
// those with a T2 chip or Apple's own processors can.
func learnMacSecureBoot(ctx context.Context, h *host.Host, d *pb.Device) error {
	p, err := macProfile(ctx, h, macCommandBridge)
	if err != nil {
		return err
	}
	if on, ok := macSecureBoot(p); ok {
		security(d).SecureBoot = proto.Bool(on)
		return nil
	}
	return fmt.Errorf("this Mac says nothing of secure boot: %w", errors.ErrUnsupported)
}

// macSecureBoot reads the level of security: with the medium and the reduced
// one, older systems and kernel extensions are let in, which are signed too.
func macSecureBoot(p profile) (on, ok bool) {
	p.each(func(item, _ proplist.Dict) {
		switch item.Text("ibridge_secure_boot", "Secure Boot") {
		case "Full Security", "Medium Security", "Reduced Security":
			on, ok = true, true
		case "No Security", "Permissive Security":
			on, ok = false, true
		}
	}, "SPiBridgeDataType")
	return on, ok
}

// learnMacEnrollment tells whether a management system has enrolled the Mac.
func learnMacEnrollment(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandEnrollment)
	m := decodeEnrollment(string(out))
	if m == nil {
		return cmp.Or(err, fmt.Errorf("profiles says %.80q, which is not understood", out))
	}
	d.Mdm = m
	return nil
}

// decodeEnrollment reads what profiles prints: "Enrolled via DEP: No", "MDM
// enrollment: Yes (User Approved)" and "MDM server: https://...". Whoever came
// in by DEP, Apple's automated enrolment, is supervised.
func decodeEnrollment(text string) *pb.Mdm {
	var m *pb.Mdm
	automated, server := false, ""
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Enrolled via DEP":
			automated = value == "Yes"
		case "MDM enrollment":
			m = &pb.Mdm{Enrolled: proto.Bool(strings.HasPrefix(value, "Yes"))}
			if m.GetEnrolled() {
				m.UserApproved = proto.Bool(strings.Contains(value, "User Approved"))
			}
		case "MDM server":
			server = value
		}
	}
	if !m.GetEnrolled() {
		return m
	}
	if automated {
		m.Supervised = proto.Bool(true)
	}
	if u, err := url.Parse(server); err == nil {
		// Some servers put a secret into the query.
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		m.ServerUrl = plainText([]byte(u.String()))
	}
	return m
}
