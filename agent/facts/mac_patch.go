package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	macUpdateFile = macPreferences + "/com.apple.SoftwareUpdate.plist"
	// macDeclarations holds what device management declares of updates, in place
	// of a profile, since macOS 14.
	macDeclarations = "var/db/softwareupdate/SoftwareUpdateDDMStatePersistence.plist"
	// macManaged holds what a management profile sets, which overrules the rest.
	macManaged = "Library/Managed Preferences"
	// maxInstalled is the number of installed updates that a report lists.
	maxInstalled = 500
)

// learnMacUpdates lists the updates that the system itself found when it last
// looked. It is not made to look again: that goes to the network and takes
// minutes.
func learnMacUpdates(_ context.Context, h *host.Host, d *pb.Device) error {
	p, err := readPlist(h, macUpdateFile)
	if err != nil {
		return err
	}
	var checked time.Time
	for _, key := range []string{"LastSuccessfulDate", "LastFullSuccessfulDate", "LastSuccessfulBackgroundMSUScanDate"} {
		if at, ok := p.Time(key); ok {
			checked = latest(checked, at)
		}
	}
	if checked.IsZero() {
		return fmt.Errorf("/%s tells no time at which updates were looked for: %w", macUpdateFile, errors.ErrUnsupported)
	}
	version, err := macRelease(h)
	return errors.Join(err, addPending(d, macPending(p, version.Text("ProductVersion")), checked))
}

// macPending returns the updates that were recommended. The list is not made
// again when an update was installed by other means, so that the one to the
// version that runs is none.
func macPending(p proplist.Dict, running string) []*pb.PendingUpdate {
	var out []*pb.PendingUpdate
	for _, u := range p.Dicts("RecommendedUpdates") {
		title, version := plainText([]byte(u.Text("Display Name"))), plainText([]byte(u.Text("Display Version")))
		id := plainText([]byte(u.Text("Identifier", "Product Key")))
		if id == "" && title == "" || strings.HasPrefix(title, "macOS") && version != "" && version == running {
			continue
		}
		out = append(out, &pb.PendingUpdate{Id: cmp.Or(id, title), Title: title, Version: version, Severity: macSeverity(title)})
	}
	return out
}

// macSeverity returns the severity that the name of an update tells. Those of
// the system mend security too, but Apple's list does not say so.
func macSeverity(title string) string {
	if strings.Contains(title, "Security") {
		return severitySecurity
	}
	return ""
}

// macUpdaters are the programs, as the history of installations names them, that
// install the system's updates.
var macUpdaters = []string{"softwareupdated", "Software Update", "macOS Installer", "OS X Installer", "OSInstaller", "Install macOS"}

// learnMacInstalled lists the updates of the system that were installed, and
// tells when the last one was. Of what Apple renews by itself (XProtect and the
// like) and of each other title, it is the last one.
func learnMacInstalled(_ context.Context, h *host.Host, d *pb.Device) error {
	history, err := readInstallHistory(h)
	if err != nil {
		return err
	}
	newest := make(map[string]installation)
	var last time.Time
	for _, i := range history {
		if !slices.Contains(macUpdaters, i.process) {
			continue
		}
		if old, ok := newest[i.title]; !ok || !i.at.Before(old.at) {
			newest[i.title] = i
		}
		if !strings.Contains(i.title, "ConfigData") && !strings.HasPrefix(i.title, "XProtect") && !strings.HasPrefix(i.title, "MRT") {
			last = latest(last, i.at)
		}
	}
	response, err := macResponse(h)
	if len(newest) == 0 && response == "" {
		return cmp.Or(err, fmt.Errorf("no history of updates: %w", errors.ErrUnsupported))
	}
	var out []*pb.InstalledUpdate
	for _, i := range newest {
		out = append(out, &pb.InstalledUpdate{Id: installedID(i), InstalledAt: unixTime(i.at.Unix())})
	}
	if response != "" {
		out = append(out, &pb.InstalledUpdate{Id: macResponseName(response) + " " + response})
	}
	slices.SortFunc(out, func(a, b *pb.InstalledUpdate) int {
		return cmp.Or(-cmp.Compare(a.InstalledAt.GetSeconds(), b.InstalledAt.GetSeconds()), strings.Compare(a.Id, b.Id))
	})
	patch(d).Installed = out[:min(len(out), maxInstalled)]
	if !last.IsZero() {
		patch(d).LastUpdated = timestamppb.New(last)
	}
	return err
}

// installedID names an installed update: its title, with the version where that
// does not have it.
func installedID(i installation) string {
	if i.version == "" || strings.Contains(i.title, i.version) {
		return plainText([]byte(i.title))
	}
	return plainText([]byte(i.title + " " + i.version))
}

// macResponse returns version and letter of the rapid security response that is
// installed, as in "13.4.1 (c)"; "" for none.
func macResponse(h *host.Host) (string, error) {
	system, err := macRelease(h)
	cryptex, cerr := readPlist(h, macCryptexFile)
	cryptex = withTrueVersion(cryptex)
	if letter := rapidResponse(system, cryptex); letter != "" {
		return plainText([]byte(cryptex.Text("ProductVersion"))) + " " + letter, errors.Join(err, cerr)
	}
	return "", errors.Join(err, cerr)
}

// macResponseName returns what Apple calls such an update: since macOS 26 by
// another name.
func macResponseName(response string) string {
	major, _, _ := strings.Cut(response, ".")
	if n, err := strconv.Atoi(major); err == nil && n >= 26 {
		return "Background Security Improvement"
	}
	return "Rapid Security Response"
}

// learnMacAutoUpdate tells whether the system installs its updates by itself,
// or has others decide that.
func learnMacAutoUpdate(_ context.Context, h *host.Host, d *pb.Device) error {
	const install = "AutomaticallyInstallMacOSUpdates"
	managed, err := readPlist(h, macManaged+"/com.apple.SoftwareUpdate.plist")
	if err != nil {
		return err
	}
	_, set := managed.Bool(install, "AutomaticCheckEnabled")
	declared, err := macDeclared(h)
	if set || declared || managed.Text("CatalogURL") != "" {
		patch(d).AutoUpdate = "managed"
		return nil
	}
	if err != nil {
		return err
	}
	p, err := readPlist(h, macUpdateFile)
	if err != nil {
		return err
	}
	if looks, ok := p.Bool("AutomaticCheckEnabled"); ok && !looks {
		patch(d).AutoUpdate = "off"
		return nil
	}
	on, ok := p.Bool(install)
	if !ok {
		return fmt.Errorf("nobody has set whether updates are installed: %w", errors.ErrUnsupported)
	}
	patch(d).AutoUpdate = map[bool]string{true: "on", false: "off"}[on]
	return nil
}

// macDeclared tells whether device management has declared how updates are
// installed, or until when one must be.
func macDeclared(h *host.Host) (bool, error) {
	p, err := readPlist(h, macDeclarations)
	policy := p.Dict("SUCorePersistedStatePolicyFields")
	return len(policy.Dict("SUCoreDDMDeclarationGlobalSettings")) > 0 || len(policy.Dict("Declarations")) > 0, err
}
