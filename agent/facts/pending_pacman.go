package facts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const pacmanSync = "var/lib/pacman/sync"

// learnPacmanPending learns which packages have a newer version in the
// databases that pacman has fetched. As for pacman, the first repository of
// /etc/pacman.conf that has a package decides. Arch does not say what an update
// fixes, so severities stay unset; ignored packages are not left out.
func learnPacmanPending(ctx context.Context, h *host.Host, d *pb.Device) error {
	conf, err := readWhole(h.FS, "etc/pacman.conf", maxConfFile)
	if missing(err) {
		return fmt.Errorf("no pacman: %w", errors.ErrUnsupported)
	}
	bad := new(faults)
	bad.add(err)
	installed := make(map[string]string)
	if err := readPacman(h.FS, func(p *pacmanPackage) { installed[string(p.name)] = string(p.version) }); err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		bad.add(err)
	}
	decided := make(map[string]bool)
	updates := make(map[string]string)
	var refreshed time.Time
	var never []string
	for _, repo := range pacmanRepos(string(conf)) {
		name := pacmanSync + "/" + repo + ".db"
		info, err := fs.Stat(h.FS, name)
		if missing(err) {
			never = append(never, repo)
			continue
		}
		if err != nil {
			bad.add(err)
			continue
		}
		refreshed = latest(refreshed, info.ModTime())
		here := make(map[string]bool)
		bad.add(eachTarFile(ctx, h.FS, name, compressionOf(h.FS, name), func(file string, data []byte) error {
			if !strings.HasSuffix(file, "/desc") {
				return nil
			}
			p := parsePacman(data)
			have, ok := installed[string(p.name)]
			if !ok || decided[string(p.name)] {
				return nil
			}
			here[string(p.name)] = true
			if pkgversion.Pacman(string(p.version), have) > 0 {
				updates[string(p.name)] = string(p.version)
			}
			return nil
		}))
		for p := range here {
			decided[p] = true
		}
	}
	if refreshed.IsZero() && bad.count == 0 {
		return fmt.Errorf("pacman has fetched no databases: %w", errors.ErrUnsupported)
	}
	if len(never) > 0 {
		bad.add(fmt.Errorf("repositories never refreshed: %s", strings.Join(never, ", ")))
	}
	refreshed = latest(refreshed, newest(h.FS, pacmanSync))
	return errors.Join(bad.err(), addPending(d, namedUpdates(updates), refreshed))
}

// pacmanRepos returns the repositories of pacman.conf in their order.
func pacmanRepos(conf string) []string {
	var out []string
	for line := range strings.Lines(conf) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "[")
		name, closed := strings.CutSuffix(name, "]")
		if ok && closed && name != "options" && fs.ValidPath(name) && !strings.Contains(name, "/") && len(out) < maxIndexes {
			out = append(out, name)
		}
	}
	return out
}

// compressionOf returns the extension of what a file is compressed as by its
// first bytes, empty for a plain archive.
func compressionOf(fsys fs.FS, name string) string {
	f, err := fsys.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	var magic [6]byte
	n, _ := io.ReadFull(f, magic[:])
	for prefix, ext := range map[string]string{"\x1f\x8b": ".gz", "\x28\xb5\x2f\xfd": ".zst", "\xfd7zXZ\x00": ".xz", "BZh": ".bz2"} {
		if strings.HasPrefix(string(magic[:n]), prefix) {
			return ext
		}
	}
	return ""
}
