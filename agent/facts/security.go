package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// security returns the device's posture, which several facts fill.
func security(d *pb.Device) *pb.Security {
	if d.Security == nil {
		d.Security = new(pb.Security)
	}
	return d.Security
}

// learnEncryption tells whether the volumes are encrypted, except those that a
// machine must read before it can ask for a key.
func learnEncryption(_ context.Context, h *host.Host, d *pb.Device) error {
	volumes, err := readVolumes(h)
	if err != nil && len(volumes) == 0 {
		return err
	}
	stack := &blockStack{attributes: attributes{h: h}}
	var encrypted, plain int
	method := ""
	for _, m := range volumes {
		if m.fstype == "vfat" || slices.Contains([]string{"/boot", "/boot/efi", "/efi"}, m.point) {
			continue
		}
		switch by, known := stack.encryption(m); {
		case !known:
		case by == "":
			plain++
		default:
			encrypted++
			method = by
		}
	}
	if encrypted+plain == 0 {
		return absent(errors.Join(err, stack.bad.err()), "no volume on a disk of its own")
	}
	state := "partial"
	switch {
	case plain == 0:
		state = "on"
	case encrypted == 0:
		state = "off"
	}
	security(d).DiskEncryption = &pb.DiskEncryption{State: state, Method: method}
	return errors.Join(err, stack.bad.err())
}

// adminGroups are those whose members distributions let become root: sudo on
// Debian, wheel on the rest, admin on old Ubuntu.
var adminGroups = []string{"sudo", "wheel", "admin"}

// learnAdmins lists the local accounts that are root or may become it by their
// groups. Rules in sudoers that name others are not read.
func learnAdmins(_ context.Context, h *host.Host, d *pb.Device) error {
	accounts, err := readAccounts(h)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	data, gerr := h.ReadFile("etc/group", maxAccountFile)
	if missing(gerr) {
		gerr = nil
	}
	admins := make([]string, 0, 4)
	gids := map[int64]bool{}
	for _, g := range decodeGroups(data) {
		if slices.Contains(adminGroups, g.name) {
			gids[g.gid] = true
			admins = append(admins, g.members...)
		}
	}
	for _, a := range accounts {
		if a.uid == 0 || gids[a.gid] {
			admins = append(admins, a.name)
		}
	}
	slices.Sort(admins)
	if admins = slices.Compact(admins); len(admins) > 0 {
		security(d).LocalAdmins = admins
	}
	return errors.Join(err, gerr)
}

// secureBootVariable is the EFI variable, whose name ends in the GUID of EFI's
// own; four bytes of attributes stand before its value.
const secureBootVariable = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

// learnSecureBoot tells whether the firmware started only what is signed. A PC
// that was started by a BIOS has no such thing.
func learnSecureBoot(_ context.Context, h *host.Host, d *pb.Device) error {
	b, err := h.ReadFile(secureBootVariable, maxValueFile)
	a := &attributes{h: h}
	switch {
	case err == nil && len(b) == 5:
		security(d).SecureBoot = proto.Bool(b[4] == 1)
	case err == nil:
		return fmt.Errorf("/%s has %d bytes instead of 5", secureBootVariable, len(b))
	case !missing(err):
		return err
	case a.has("sys/firmware/efi/efivars") && len(a.names("sys/firmware/efi/efivars")) > 0,
		a.has("sys/firmware/dmi") && !a.has("sys/firmware/efi"):
		security(d).SecureBoot = proto.Bool(false)
	default:
		return fmt.Errorf("no firmware to be seen: %w", errors.ErrUnsupported)
	}
	return nil
}

// learnIntegrity tells what keeps programs within what they may do.
func learnIntegrity(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	p := new(pb.IntegrityProtection)
	switch {
	case a.text("sys/fs/selinux/enforce") == "1":
		p.Name, p.State = "selinux", "on"
	case a.text("sys/fs/selinux/enforce") == "0":
		p.Name, p.State = "selinux", "permissive"
	case a.text("sys/module/apparmor/parameters/enabled") == "Y":
		p.Name, p.State = "apparmor", "on"
	case settings(a.raw("etc/selinux/config"))["SELINUX"] == "disabled":
		p.Name, p.State = "selinux", "off"
	case a.text("sys/module/apparmor/parameters/enabled") == "N":
		p.Name, p.State = "apparmor", "off"
	default:
		return absent(a.bad.err(), "neither SELinux nor AppArmor")
	}
	security(d).IntegrityProtection = p
	return nil
}

// learnFirewall tells which firewall the machine starts, from its settings: the
// rules themselves can only be asked of the kernel, with more rights than an
// inventory should have. Old ip_tables names its tables in a file; where they
// are in use but nothing is known to have made them, the firewall is on. Where
// there is nothing at all, nothing is said.
func learnFirewall(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	f := new(pb.Firewall)
	ufw := settings(a.raw("etc/ufw/ufw.conf"))["ENABLED"]
	switch {
	case strings.EqualFold(ufw, "yes"):
		f.Name, f.State = "ufw", "on"
	case a.starts("firewalld"):
		f.Name, f.State = "firewalld", "on"
	case a.starts("nftables"):
		f.Name, f.State = "nftables", "on"
	case a.starts("iptables"), a.starts("netfilter-persistent"), a.filters():
		f.Name, f.State = "iptables", "on"
	case strings.EqualFold(ufw, "no"):
		f.Name, f.State = "ufw", "off"
	case a.has("usr/lib/systemd/system/firewalld.service"):
		f.Name, f.State = "firewalld", "off"
	case a.has("etc/nftables.conf"), a.has("etc/sysconfig/nftables.conf"):
		f.Name, f.State = "nftables", "off"
	default:
		return absent(a.bad.err(), "no firewall to be seen")
	}
	security(d).Firewall = f
	return a.bad.err()
}

// starts tells whether systemd starts a service with the machine.
func (a *attributes) starts(service string) bool {
	for _, target := range []string{"multi-user", "basic", "sysinit", "network-pre"} {
		// The link may lead to where a capture has nothing.
		if _, err := fs.Lstat(a.h.FS, "etc/systemd/system/"+target+".target.wants/"+service+".service"); err == nil {
			return true
		}
	}
	return false
}

// filters tells whether ip_tables or ip6_tables have a table of filters.
func (a *attributes) filters() bool {
	for _, name := range []string{"proc/net/ip_tables_names", "proc/net/ip6_tables_names"} {
		// Only root may read it, and most machines have moved on: not worth a
		// problem.
		b, err := a.h.ReadFile(name, maxValueFile)
		if err == nil && slices.ContainsFunc(bytes.Fields(b), func(t []byte) bool { return string(t) == "filter" }) {
			return true
		}
	}
	return false
}
