package facts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxBrew        = 20_000
	maxBrewReceipt = 4 << 20
	brewReceipt    = "INSTALL_RECEIPT.json"
)

// brewPrefixes are where Homebrew lives on Macs with Apple's and with Intel's
// processors, and on Linux.
var brewPrefixes = []string{"opt/homebrew", "usr/local", "home/linuxbrew/.linuxbrew"}

// learnHomebrew lists the formulae and casks of Homebrew, each version that is
// still there. The publisher is the tap that they came from.
func learnHomebrew(ctx context.Context, h *host.Host, d *pb.Device) error {
	b := &brew{h: h, rows: newSoftwareRows("homebrew")}
	for _, prefix := range brewPrefixes {
		b.versions(ctx, path.Join(prefix, "Cellar"), func(version string) string { return path.Join(version, brewReceipt) })
		b.versions(ctx, path.Join(prefix, "Caskroom"), func(version string) string { return path.Join(path.Dir(version), ".metadata", brewReceipt) })
	}
	if !b.found {
		return fmt.Errorf("no Homebrew: %w", errors.ErrUnsupported)
	}
	return errors.Join(b.bad.err(), addSoftware(d, b.rows.rows))
}

// brew lists what Homebrew installed.
type brew struct {
	h     *host.Host
	bad   faults
	rows  *softwareRows
	found bool
}

// versions adds each version in a folder of the form <name>/<version>, whose
// receipt is where receipt says.
func (b *brew) versions(ctx context.Context, root string, receipt func(version string) string) {
	names, err := fs.ReadDir(b.h.FS, root)
	b.found = b.found || err == nil
	if err != nil && !missing(err) {
		b.bad.add(fmt.Errorf("list /%s: %w", root, err))
	}
	for _, name := range names {
		if !name.IsDir() || strings.HasPrefix(name.Name(), ".") || ctx.Err() != nil {
			continue
		}
		dir := path.Join(root, name.Name())
		versions, err := fs.ReadDir(b.h.FS, dir)
		if err != nil {
			b.bad.add(fmt.Errorf("list /%s: %w", dir, err))
		}
		for _, version := range versions {
			if !version.IsDir() || strings.HasPrefix(version.Name(), ".") {
				continue
			}
			if len(b.rows.rows) >= maxBrew {
				b.bad.add(fmt.Errorf("/%s: more than %d installations: the rest is left out", root, maxBrew))
				return
			}
			installed := path.Join(dir, version.Name())
			b.add(installed, receipt(installed))
		}
	}
	if err := ctx.Err(); err != nil {
		b.bad.add(fmt.Errorf("list /%s: %w", root, err))
	}
}

// add adds the installation in a folder <name>/<version>.
func (b *brew) add(dir, receipt string) {
	name := path.Base(path.Dir(dir))
	row := b.rows.add([]byte(name), []byte(path.Base(dir)))
	row.Location, row.ProductId = softwareText([]byte("/"+dir)), row.Name
	data, err := b.h.ReadFile(receipt, maxBrewReceipt)
	if missing(err) {
		// Homebrew writes one for casks since version 4.3 only.
		row.InstalledAt = modTime(b.h.FS, dir)
		return
	}
	r, derr := brewReceiptOf(data)
	if err := errors.Join(err, derr); err != nil {
		b.bad.add(fmt.Errorf("/%s: %w", receipt, err))
	}
	row.InstalledAt = r.at
	row.Architecture = b.rows.share([]byte(r.architecture))
	if r.tap != "" {
		row.Publisher = b.rows.share([]byte(r.tap))
		row.ProductId = softwareText([]byte(r.tap + "/" + name))
	}
}

// brewInstallation is what a receipt says of an installation.
type brewInstallation struct {
	tap, architecture string
	at                *timestamppb.Timestamp
}

// brewReceiptOf decodes a receipt; see Homebrew's tab.rb and cask/tab.rb.
func brewReceiptOf(data []byte) (brewInstallation, error) {
	var r struct {
		Time   json.Number `json:"time"`
		Arch   string      `json:"arch"`
		Source struct {
			Tap string `json:"tap"`
		} `json:"source"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return brewInstallation{}, fmt.Errorf("read the receipt: %w", err)
	}
	out := brewInstallation{tap: r.Source.Tap, architecture: r.Arch}
	if sec, err := r.Time.Int64(); err == nil {
		out.at = unixTime(sec)
	}
	return out, nil
}
