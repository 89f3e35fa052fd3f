package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	aptLists = "var/lib/apt/lists"
	// maxAptList is the size of one list, unpacked; Debian's main has 50 MB.
	maxAptList  = 1 << 30
	maxAptFiles = 5_000
	aptChunk    = 256 << 10
	maxStanza   = 4 << 20
)

// aptUpdates learns which packages have a newer version in the lists that apt
// has fetched. Unpacking those costs tens of milliseconds, so the answer is
// kept as long as neither they nor dpkg's status change.
//
// It says what `apt list --upgradable` says, with these limits: pins in
// /etc/apt/preferences are not read, dependencies are not solved, a source that
// was disabled counts until the next `apt update` removes its lists, and of
// phased updates only those are left out that are phased to nobody. An archive
// that is not automatic (backports) counts only for packages that came from it. An
// update is a security update if an archive for those has a newer version than
// the installed one.
type aptUpdates struct {
	debs   *dpkgReading
	mu     sync.Mutex
	state  string
	answer []*pb.PendingUpdate
}

func (a *aptUpdates) learn(ctx context.Context, h *host.Host, d *pb.Device) error {
	lists, state, refreshed, err := findAptLists(h.FS)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == state {
		return addPending(d, cloneUpdates(a.answer), refreshed)
	}
	packages, err := a.debs.packages(h)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	bad := new(faults)
	bad.add(err)
	candidates := newAptCandidates(packages)
	for _, list := range lists {
		if err := list.scan(ctx, h.FS, candidates); err != nil {
			bad.add(fmt.Errorf("/%s/%s: %w", aptLists, list.name, err))
		}
	}
	updates := candidates.updates()
	if bad.count == 0 {
		a.state, a.answer = state, cloneUpdates(updates)
	}
	return errors.Join(bad.err(), addPending(d, updates, refreshed))
}

func cloneUpdates(updates []*pb.PendingUpdate) []*pb.PendingUpdate {
	out := make([]*pb.PendingUpdate, len(updates))
	for i, u := range updates {
		out[i] = proto.CloneOf(u)
	}
	return out
}

// aptList is a list of the packages of one archive.
type aptList struct {
	name string
	// security: the archive holds security updates. optional: its packages are
	// upgraded only if they came from it.
	security, optional bool
}

// findAptLists returns the lists that count for upgrades, a text that changes
// when they or the installed packages do, and when they were last refreshed.
// The lists themselves carry the server's times, so that is the newest of what
// `apt update` writes at the time it runs.
func findAptLists(fsys fs.FS) (lists []aptList, state string, refreshed time.Time, err error) {
	entries, err := fs.ReadDir(fsys, aptLists)
	if missing(err) {
		err = fmt.Errorf("no apt: %w", errors.ErrUnsupported)
	}
	if err != nil {
		return nil, "", refreshed, err
	}
	entries = entries[:min(len(entries), maxAptFiles)]
	var releases []string
	for _, e := range entries {
		for _, suffix := range []string{"_InRelease", "_Release"} {
			if strings.HasSuffix(e.Name(), suffix) {
				releases = append(releases, e.Name())
			}
		}
	}
	var b strings.Builder
	for _, e := range entries {
		if _, _, ok := cutPackages(e.Name()); !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, "", refreshed, fmt.Errorf("package list: %w", err)
		}
		refreshed = latest(refreshed, info.ModTime())
		fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
		if list, ok := aptArchive(fsys, e.Name(), releases); ok {
			lists = append(lists, list)
		}
	}
	if b.Len() == 0 {
		return nil, "", refreshed, fmt.Errorf("apt has fetched no package lists: %w", errors.ErrUnsupported)
	}
	if info, err := fs.Stat(fsys, dpkgDir+"/status"); err == nil {
		fmt.Fprintf(&b, "status %d %d\n", info.Size(), info.ModTime().UnixNano())
	}
	refreshed = latest(refreshed, newest(fsys, aptLists, aptLists+"/partial", "var/lib/apt/periodic/update-success-stamp"))
	return lists, b.String(), refreshed, nil
}

// cutPackages splits the name of a package list after what its archive is named
// and before its compression.
func cutPackages(name string) (archive, compression string, ok bool) {
	for _, ext := range []string{"", ".lz4", ".gz", ".zst", ".xz", ".bz2", ".lzma"} {
		if archive, ok := strings.CutSuffix(name, "_Packages"+ext); ok {
			return archive, ext, true
		}
	}
	return "", "", false
}

// aptArchive tells what the release file of a list's archive says of it. It is
// not ok where apt never upgrades to what is in it.
func aptArchive(fsys fs.FS, name string, releases []string) (list aptList, ok bool) {
	release, prefix := "", ""
	for _, r := range releases {
		p := r[:strings.LastIndexByte(r, '_')+1]
		if strings.HasPrefix(name, p) && len(p) > len(prefix) {
			release, prefix = r, p
		}
	}
	list = aptList{name: name, security: strings.Contains(name, "-security_")}
	if release == "" {
		return list, true
	}
	var head [4096]byte
	f, err := fsys.Open(aptLists + "/" + release)
	if err != nil {
		return list, true
	}
	defer f.Close()
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return list, true
	}
	automatic, upgrades := true, false
	for line := range bytes.Lines(head[:n]) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		switch key {
		case "NotAutomatic":
			automatic = value != "yes"
		case "ButAutomaticUpgrades":
			upgrades = value == "yes"
		case "Suite", "Codename":
			list.security = list.security || strings.HasSuffix(value, "-security")
		case "Label":
			list.security = list.security || value == "Debian-Security"
		}
	}
	list.optional = !automatic
	return list, automatic || upgrades
}

// scan hands the paragraphs of a list to the candidates, a chunk at a time.
func (l aptList) scan(ctx context.Context, fsys fs.FS, c *aptCandidates) error {
	f, err := fsys.Open(aptLists + "/" + l.name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, compression, _ := cutPackages(l.name)
	r, done, err := decompress(f, compression)
	if err != nil {
		return err
	}
	defer done()
	buf := make([]byte, aptChunk)
	for kept, total := 0, int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := fill(r, buf[kept:])
		total += int64(n)
		whole := buf[:kept+n]
		end := bytes.LastIndex(whole, paragraphEnd)
		switch {
		case err == io.EOF:
			c.scan(whole, l)
			return nil
		case err != nil:
			// The paragraphs before the damage are good.
			c.scan(whole[:max(0, end)], l)
			return err
		case total > maxAptList:
			return fmt.Errorf("longer than %d bytes: the rest is not read", maxAptList)
		case end < 0 && len(buf) >= maxStanza:
			return fmt.Errorf("paragraph of more than %d bytes: not a package list", maxStanza)
		case end < 0:
			buf, kept = append(buf, make([]byte, len(buf))...), len(whole)
			continue
		}
		c.scan(whole[:end+1], l)
		kept = copy(buf, whole[end+1:])
	}
}

// fill reads until b is full or the source ends, and returns the source's own
// error, which tells an end from a cut.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}
