package facts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	snapState = "var/lib/snapd/state.json"
	// maxSnapState: snapd keeps finished changes for a while, so that this
	// grows to some megabytes.
	maxSnapState = 32 << 20
	maxSnaps     = 2_000
)

// snapMounts are where revisions of snaps are mounted: of Debian's layout and
// of Fedora's.
var snapMounts = []string{"snap", "var/lib/snapd/snap"}

// snapRevision is the revision of a snap that is in use.
type snapRevision struct{ name, revision, id string }

// learnSnap adds the snaps in use. Which they are stands in snapd's state, for
// root only; without it, the links to the current revisions tell, but neither
// which of them are disabled nor their ids, so the fact is not complete. The
// version stands in the snap itself, the size is that of its image, and the
// time that of the link to the current revision, as `snap info` has it.
func learnSnap(_ context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	data, err := readWhole(h.FS, snapState, maxSnapState)
	var snaps []snapRevision
	if err == nil {
		snaps, err = parseSnapState(data)
	}
	if err != nil {
		state := err
		snaps = mountedSnaps(h.FS)
		if missing(state) {
			if len(snaps) == 0 {
				return fmt.Errorf("no snaps: %w", errors.ErrUnsupported)
			}
			state = fmt.Errorf("/%s is not there", snapState)
		}
		bad.add(fmt.Errorf("snapd's state cannot be read, so disabled snaps and ids are not known: %w", state))
	}
	out := newSoftwareRows("snap")
	for _, s := range snaps {
		meta, err := readSnapMeta(h.FS, s)
		bad.add(err)
		row := out.add([]byte(s.name), meta.version)
		row.ProductId, row.Architecture = softwareText([]byte(s.id)), out.share(meta.arch)
		for _, mount := range snapMounts {
			if row.InstalledAt == nil && fs.ValidPath(path.Join(mount, s.name)) {
				row.InstalledAt = modTime(h.FS, path.Join(mount, s.name, "current"))
			}
		}
		if info, err := fs.Stat(h.FS, path.Join("var/lib/snapd/snaps", s.name+"_"+s.revision+".snap")); err == nil {
			size := info.Size()
			row.SizeBytes = &size
		}
	}
	return errors.Join(bad.err(), addSoftware(d, out.rows))
}

// parseSnapState returns the snaps that are active, by name. The sequence of a
// snap's revisions is a list, wrapped in an object by snapd 2.60 and later.
func parseSnapState(data []byte) ([]snapRevision, error) {
	type info struct {
		ID       string `json:"snap-id"`
		Revision string `json:"revision"`
	}
	var state struct {
		Data struct {
			Snaps map[string]struct {
				Active   bool            `json:"active"`
				Current  string          `json:"current"`
				Sequence json.RawMessage `json:"sequence"`
			} `json:"snaps"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return nil, fmt.Errorf("/%s: %w", snapState, err)
	}
	if len(state.Data.Snaps) > maxSnaps {
		return nil, fmt.Errorf("/%s has %d snaps, more than %d", snapState, len(state.Data.Snaps), maxSnaps)
	}
	var out []snapRevision
	for name, s := range state.Data.Snaps {
		if !s.Active {
			continue
		}
		revision := snapRevision{name: name, revision: s.Current}
		var sequence []info
		if err := json.Unmarshal(s.Sequence, &sequence); err != nil {
			var wrapped struct {
				Sequence []info `json:"sequence"`
			}
			// Without a sequence only the id is missing.
			_ = json.Unmarshal(s.Sequence, &wrapped)
			sequence = wrapped.Sequence
		}
		for _, i := range sequence {
			if i.Revision == s.Current {
				revision.id = i.ID
			}
		}
		out = append(out, revision)
	}
	slices.SortFunc(out, func(a, b snapRevision) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// mountedSnaps returns the snaps that have a link to a current revision.
func mountedSnaps(fsys fs.FS) []snapRevision {
	var out []snapRevision
	for _, mount := range snapMounts {
		entries, err := fs.ReadDir(fsys, mount)
		if err != nil {
			continue
		}
		for _, e := range entries {
			target, err := fs.ReadLink(fsys, path.Join(mount, e.Name(), "current"))
			if err == nil && len(out) < maxSnaps {
				out = append(out, snapRevision{name: e.Name(), revision: path.Base(target)})
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}

// snapMeta is what a snap says of itself.
type snapMeta struct{ version, arch []byte }

func readSnapMeta(fsys fs.FS, s snapRevision) (snapMeta, error) {
	for _, mount := range snapMounts {
		name := path.Join(mount, s.name, s.revision, "meta/snap.yaml")
		if !fs.ValidPath(name) {
			return snapMeta{}, fmt.Errorf("snap %.64q, revision %.64q: not a file name", s.name, s.revision)
		}
		data, err := readWhole(fsys, name, 1<<20)
		if err == nil {
			return parseSnapMeta(data), nil
		}
		if !missing(err) {
			return snapMeta{}, fmt.Errorf("version of snap %s: %w", s.name, err)
		}
	}
	return snapMeta{}, fmt.Errorf("version of snap %s: revision %s is not mounted", s.name, s.revision)
}

// parseSnapMeta takes the version and the first architecture from snap.yaml.
// Both stand at its top level, as plain or quoted scalars and as a list.
func parseSnapMeta(data []byte) snapMeta {
	var m snapMeta
	list := false
	for line := range bytes.Lines(data) {
		value, item := bytes.CutPrefix(bytes.TrimSpace(line), []byte("- "))
		switch {
		case bytes.HasPrefix(line, []byte("version:")):
			m.version = yamlScalar(line[len("version:"):])
		case bytes.HasPrefix(line, []byte("architectures:")):
			flow := bytes.Trim(line[len("architectures:"):], " []\r\n")
			first, _, _ := bytes.Cut(flow, []byte{','})
			m.arch, list = yamlScalar(first), true
			continue
		case list && item && len(m.arch) == 0:
			m.arch = yamlScalar(value)
		}
		list = list && item
	}
	return m
}

// yamlScalar returns a scalar without its quotes or the comment after it.
func yamlScalar(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if len(b) > 1 && (b[0] == '"' || b[0] == '\'') {
		if end := bytes.IndexByte(b[1:], b[0]); end >= 0 {
			return b[1 : 1+end]
		}
	}
	if i := bytes.Index(b, []byte(" #")); i >= 0 {
		b = bytes.TrimSpace(b[:i])
	}
	return b
}
