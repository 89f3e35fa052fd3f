package facts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
)

const (
	// maxHomes is how many homes are looked into.
	maxHomes = 1_000
	// maxHomeLinks is how many symbolic links a name in a home may lead through.
	maxHomeLinks = 8
)

// remoteFilesystems can hang whoever looks at them, so homes on them are left
// out.
var remoteFilesystems = []string{"autofs", "nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "fuse.sshfs", "fuse.glusterfs"}

// notPeople are the folders beside the homes that are nobody's.
var notPeople = []string{"Shared", "Guest", "Public", "Default", "Default User", "All Users", "lost+found"}

// userHomes returns the home folders of a machine's people that are on local
// file systems, sorted.
func userHomes(h *host.Host, bad *faults) []string {
	var homes []string
	switch h.OS {
	case "linux":
		homes = localHomes(h.FS, bad)
	case "darwin":
		homes = append(homesIn(h.FS, "Users", nil, bad), "var/root")
	case "windows":
		homes = homesIn(h.FS, "Users", nil, bad)
	}
	slices.Sort(homes)
	return slices.Compact(homes)
}

// localHomes returns the home folders of the people and root of /etc/passwd,
// and those in /home of people whom only a directory knows.
func localHomes(fsys fs.FS, bad *faults) []string {
	passwd, err := readWhole(fsys, "etc/passwd", 4<<20)
	if err != nil && !missing(err) {
		bad.add(err)
	}
	mounts, err := readWhole(fsys, "proc/self/mountinfo", 4<<20)
	if err != nil && !missing(err) {
		bad.add(err)
	}
	remote := remoteMounts(mounts)
	var homes []string
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(line, ":")
		if len(fields) < 7 || len(homes) >= maxHomes {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 32)
		home := strings.Trim(path.Clean(fields[5]), "/")
		if err != nil || uid != 0 && uid < firstPerson || home == "" || !fs.ValidPath(home) {
			continue
		}
		if !onAny(home, remote) && !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	for _, home := range homesIn(fsys, "home", remote, bad) {
		if !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	return homes
}

// homesIn returns the folders of a folder that can be homes.
func homesIn(fsys fs.FS, dir string, remote []string, bad *faults) []string {
	if onAny(dir, remote) {
		return nil
	}
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil && !missing(err) {
		bad.add(fmt.Errorf("list /%s: %w", dir, err))
	}
	var out []string
	for _, e := range entries {
		home := path.Join(dir, e.Name())
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(notPeople, e.Name()) && !onAny(home, remote) && len(out) < maxHomes {
			out = append(out, home)
		}
	}
	return out
}

// onAny tells whether a folder is one of the mount points or below.
func onAny(dir string, points []string) bool {
	return slices.ContainsFunc(points, func(p string) bool { return dir == p || strings.HasPrefix(dir, p+"/") })
}

// remoteMounts returns the mount points of file systems that are not local,
// from lines "id parent dev root mount options - type source ...".
func remoteMounts(mountinfo []byte) []string {
	var out []string
	for line := range strings.Lines(string(mountinfo)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		for _, kind := range remoteFilesystems {
			if strings.HasPrefix(after, kind) {
				out = append(out, strings.Trim(unescapeMount(fields[4]), "/"))
			}
		}
	}
	return out
}

// homeFiles reads the files of one home, of which its owner can make anything.
// Symbolic links are followed within the home only: one that leads out, to
// where the agent may read and its owner not, or to a file system that hangs,
// is treated as if it were not there.
type homeFiles struct {
	h    *host.Host
	home string
	bad  *faults
}

// real returns the name below the root of what stands under a name in the
// home, without symbolic links in it.
func (f homeFiles) real(name string) (string, error) {
	gone := &fs.PathError{Op: "open", Path: "/" + path.Join(f.home, name), Err: fs.ErrNotExist}
	if !fs.ValidPath(name) {
		return "", gone
	}
	real, rest, links := f.home, name, 0
	for rest != "" && rest != "." {
		element, after, _ := strings.Cut(rest, "/")
		next := path.Join(real, element)
		info, err := fs.Lstat(f.h.FS, next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real, rest = next, after
			continue
		}
		target, err := fs.ReadLink(f.h.FS, next)
		if links++; err != nil || links > maxHomeLinks {
			return "", errors.Join(gone, err)
		}
		if !path.IsAbs(target) {
			target = "/" + path.Join(real, target)
		}
		inside, ok := strings.CutPrefix(path.Clean(target)+"/", "/"+f.home+"/")
		if !ok {
			return "", gone
		}
		real, rest = f.home, path.Join(inside, after)
	}
	return real, nil
}

// read returns a file, and false for one that is not there or could not be
// read, which is noted.
func (f homeFiles) read(name string, max int64) ([]byte, bool) {
	real, err := f.real(name)
	var data []byte
	if err == nil {
		data, err = f.h.ReadFile(real, max)
	}
	if err != nil {
		if !missing(err) {
			f.bad.add(err)
		}
		return nil, false
	}
	return data, true
}

// names returns the entries of a folder, sorted and at most max; none where
// there is no such folder.
func (f homeFiles) names(name string, max int) []string {
	real, err := f.real(name)
	if err != nil {
		if !missing(err) {
			f.bad.add(err)
		}
		return nil
	}
	entries, err := firstEntries(f.h.FS, real, max+1)
	if err != nil && !missing(err) {
		f.bad.add(fmt.Errorf("list /%s: %w", real, err))
	}
	if len(entries) > max {
		f.bad.add(fmt.Errorf("/%s has more than %d entries: the rest is left out", real, max))
		entries = entries[:max]
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.Sort(out)
	return out
}

// has tells whether there is such a file or folder.
func (f homeFiles) has(name string) bool {
	_, err := f.real(name)
	return err == nil
}

// firstEntries returns the first entries of a folder, without reading all of
// one that has millions.
func firstEntries(fsys fs.FS, name string, max int) ([]fs.DirEntry, error) {
	// Opening a pipe would last until somebody writes into it.
	if info, err := fs.Stat(fsys, name); err != nil || !info.IsDir() {
		return nil, err
	}
	d, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	dir, ok := d.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("/%s is no folder any more", name)
	}
	entries, err := dir.ReadDir(max)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, err
}

// shown returns the name of a file as the machine's people write it.
func shown(h *host.Host, name string) string {
	if h.OS == "windows" {
		return `C:\` + strings.ReplaceAll(name, "/", `\`)
	}
	return "/" + name
}
