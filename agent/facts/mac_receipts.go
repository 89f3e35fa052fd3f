package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	macReceipts       = "var/db/receipts"
	macInstallHistory = "Library/Receipts/InstallHistory.plist"
	maxInstallHistory = 32 << 20
	maxReceipt        = 1 << 20
	maxReceipts       = 20_000
)

// learnMacPackages lists the packages of which the system's installer keeps a
// receipt. Where the history of installations has a name for people, it is the
// row's, otherwise the package's identifier.
func learnMacPackages(ctx context.Context, h *host.Host, d *pb.Device) error {
	entries, err := fs.ReadDir(h.FS, macReceipts)
	if missing(err) {
		return fmt.Errorf("no receipts: %w", errors.ErrUnsupported)
	}
	bad := new(faults)
	if err != nil {
		bad.add(fmt.Errorf("list /%s: %w", macReceipts, err))
	}
	history, err := readInstallHistory(h)
	if err != nil {
		bad.add(err)
	}
	titles := packageTitles(history)
	var rows []*pb.Software
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".plist") {
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read receipts: %w", err)
		}
		if len(rows) >= maxReceipts {
			bad.add(fmt.Errorf("more than %d receipts: the rest is left out", maxReceipts))
			break
		}
		row, err := readReceipt(h, macReceipts+"/"+e.Name())
		if err != nil {
			bad.add(err)
			continue
		}
		if title := titles[row.ProductId]; title != "" {
			row.Name = softwareText([]byte(title))
		}
		rows = append(rows, row)
	}
	return errors.Join(bad.err(), addSoftware(d, rows))
}

// readReceipt returns the package that a receipt is of.
func readReceipt(h *host.Host, name string) (*pb.Software, error) {
	data, err := h.ReadFile(name, maxReceipt)
	if err != nil {
		return nil, err
	}
	r, err := proplist.DecodeDict(data)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", name, err)
	}
	id := softwareText([]byte(r.Text("PackageIdentifier")))
	if id == "" {
		return nil, fmt.Errorf("/%s names no package", name)
	}
	row := &pb.Software{Kind: "pkg", Name: id, ProductId: id, Version: softwareText([]byte(r.Text("PackageVersion")))}
	if at, ok := r.Time("InstallDate"); ok {
		row.InstalledAt = unixTime(at.Unix())
	}
	if prefix := strings.Trim(r.Text("InstallPrefixPath"), "/"); prefix != "" {
		row.Location = softwareText([]byte("/" + prefix))
	}
	if strings.HasPrefix(id, "com.apple.") {
		row.Publisher = appleName
	}
	return row, nil
}

// installation is an entry in the history of what the installer installed.
type installation struct {
	title, version, process string
	packages                []string
	at                      time.Time
}

// readInstallHistory returns the history of installations, oldest first; none
// where there is none.
func readInstallHistory(h *host.Host) ([]installation, error) {
	data, err := h.ReadFile(macInstallHistory, maxInstallHistory)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := proplist.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", macInstallHistory, err)
	}
	var out []installation
	for _, e := range proplist.Dicts(v) {
		i := installation{title: e.Text("displayName"), version: e.Text("displayVersion"), process: e.Text("processName"), packages: e.Texts("packageIdentifiers")}
		i.at, _ = e.Time("date")
		if i.title != "" {
			out = append(out, i)
		}
	}
	return out, nil
}

// packageTitles returns what the history calls packages. One title for several
// packages is that of a suite and would name its parts alike.
func packageTitles(history []installation) map[string]string {
	out := make(map[string]string)
	for _, i := range history {
		if len(i.packages) == 1 {
			out[i.packages[0]] = i.title
		}
	}
	return out
}
