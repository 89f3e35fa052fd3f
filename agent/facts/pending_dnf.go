package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxRepos      = 500
	maxAdvisory   = 8 << 20
	maxCVEs       = 200
	maxAdvisories = 1 << 30
)

// dnfCaches are where dnf, dnf5 and zypper keep what they fetched, one folder a
// repository.
var dnfCaches = []string{"var/cache/dnf", "var/cache/libdnf5", "var/cache/yum", "var/cache/zypp/raw"}

// dnfUpdate is the newest update of one installed package, with the worst
// severity and all CVEs of the advisories between it and what is installed.
type dnfUpdate struct {
	update  *pb.PendingUpdate
	version string
}

// rpmInstalled is the newest installed version of a package; of kernels several
// are installed at once.
type rpmInstalled map[string]string

func rpmKey(name, arch string) string { return name + "." + arch }

// learnDNFPending learns which advisories in cached repository metadata
// (updateinfo.xml) apply to installed packages. A repository whose metadata has
// no advisories cannot be judged that way: the fact then says so, and is not
// complete.
func learnDNFPending(ctx context.Context, h *host.Host, d *pb.Device) error {
	repos := dnfRepos(h.FS)
	if len(repos) == 0 {
		return fmt.Errorf("no repository metadata of dnf: %w", errors.ErrUnsupported)
	}
	packages, err := readRPM(h.FS)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	bad := new(faults)
	bad.add(err)
	installed := make(rpmInstalled, len(packages))
	for i := range packages {
		p := &packages[i]
		key := rpmKey(p.Name, p.Arch)
		if have, ok := installed[key]; !ok || pkgversion.RPM(p.EVR(), have) > 0 {
			installed[key] = p.EVR()
		}
	}
	updates := make(map[string]*dnfUpdate)
	var refreshed time.Time
	judged := false
	for _, repo := range repos {
		refreshed = latest(refreshed, newest(h.FS, repo+"/repomd.xml"))
		name, ext := updateInfo(h.FS, repo)
		if name == "" {
			bad.add(fmt.Errorf("/%s has no advisories, so its pending updates are not known", repo))
			continue
		}
		judged = true
		if err := scanAdvisories(ctx, h.FS, name, ext, func(a []byte) { installed.apply(a, updates) }); err != nil {
			bad.add(fmt.Errorf("/%s: %w", name, err))
		}
	}
	if !judged {
		return bad.err()
	}
	out := make([]*pb.PendingUpdate, 0, len(updates))
	for _, u := range updates {
		slices.Sort(u.update.Cves)
		u.update.Cves = slices.Compact(u.update.Cves)
		out = append(out, u.update)
	}
	return errors.Join(bad.err(), addPending(d, out, refreshed))
}

// dnfRepos returns the folders of repository metadata.
func dnfRepos(fsys fs.FS) []string {
	var out []string
	for _, cache := range dnfCaches {
		entries, err := fs.ReadDir(fsys, cache)
		if err != nil {
			continue
		}
		for _, e := range entries {
			dir := cache + "/" + e.Name() + "/repodata"
			if ok, _ := exists(fsys, dir+"/repomd.xml"); ok && len(out) < maxRepos {
				out = append(out, dir)
			}
		}
	}
	return out
}

// updateInfo returns the file of advisories of a repository, and its
// compression.
func updateInfo(fsys fs.FS, repo string) (name, ext string) {
	entries, err := fs.ReadDir(fsys, repo)
	if err != nil {
		return "", ""
	}
	for _, e := range entries {
		if before, after, ok := strings.Cut(e.Name(), "updateinfo.xml"); ok && (before == "" || strings.HasSuffix(before, "-")) {
			return repo + "/" + e.Name(), after
		}
	}
	return "", ""
}

// scanAdvisories calls fn with every <update> element of a file.
func scanAdvisories(ctx context.Context, fsys fs.FS, name, ext string, fn func(advisory []byte)) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r, done, err := decompress(f, ext)
	if err != nil {
		return err
	}
	defer done()
	buf := make([]byte, aptChunk)
	for kept, total := 0, 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := fill(r, buf[kept:])
		rest := buf[:kept+n]
		total += n
		for {
			end := bytes.Index(rest, []byte("</update>"))
			if end < 0 {
				break
			}
			// What stands before the element is the end of another one.
			if start := bytes.LastIndex(rest[:end], []byte("<update ")); start >= 0 {
				fn(rest[start:end])
			}
			rest = rest[end+len("</update>"):]
		}
		if err != nil {
			return endOfAdvisories(rest, err)
		}
		if total > maxAdvisories {
			return fmt.Errorf("longer than %d bytes: the rest is not read", maxAdvisories)
		}
		if len(rest) == len(buf) {
			if len(buf) >= maxAdvisory {
				return fmt.Errorf("element of more than %d bytes: not a file of advisories", maxAdvisory)
			}
			buf, kept = append(buf, make([]byte, len(buf))...), len(rest)
			continue
		}
		kept = copy(buf, rest)
	}
}

// endOfAdvisories tells a file that ended from one that was cut.
func endOfAdvisories(rest []byte, err error) error {
	if err == io.EOF {
		if bytes.Contains(rest, []byte("<update ")) {
			return errors.New("ends within an advisory: it was not written whole")
		}
		return nil
	}
	return err
}
