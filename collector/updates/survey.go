package updates

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// programPrefix begins the name of a program: rollcall-agent_VERSION_OS_ARCH,
// with .exe after it for Windows.
const programPrefix = "rollcall-agent_"

// Terms are under which programs are released.
type Terms struct {
	// Rings gives the ring of a version, Minimum the version that an agent must
	// have for it.
	Rings, Minimum map[string]string
	Now            time.Time
	// Life is how long updates may be installed for.
	Life time.Duration
}

// Survey makes the manifest of the programs in a folder. What the manifest that
// is there says of a version stays, if one of the keys signed it, where the
// terms say nothing else.
func Survey(dir string, keys release.Keys, t Terms) (release.Manifest, error) {
	_, before, err := Read(filepath.Join(dir, ManifestName), keys)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return release.Manifest{}, fmt.Errorf("the manifest that is there: %w; remove it to begin anew", err)
	}
	now := t.Now.UTC().Truncate(time.Second)
	// The time as number keeps the sequence growing even where a manifest was
	// lost.
	m := release.Manifest{Format: release.Format, Sequence: max(before.Sequence+1, now.Unix()), IssuedAt: now, ExpiresAt: now.Add(t.Life)}
	files, err := programs(dir)
	if err != nil {
		return m, err
	}
	for version, list := range files {
		r := release.Release{Version: version, Ring: DefaultRings()[0].Name, Files: list}
		if i := slices.IndexFunc(before.Releases, func(r release.Release) bool { return r.Version == version }); i >= 0 {
			r.Ring, r.MinimumAgent = before.Releases[i].Ring, before.Releases[i].MinimumAgent
		}
		if ring, ok := t.Rings[version]; ok {
			r.Ring = ring
		}
		if least, ok := t.Minimum[version]; ok {
			r.MinimumAgent = least
		}
		m.Releases = append(m.Releases, r)
	}
	for _, version := range slices.Concat(slices.Collect(maps.Keys(t.Rings)), slices.Collect(maps.Keys(t.Minimum))) {
		if files[version] == nil {
			return m, fmt.Errorf("there is no program of version %q in %s", version, dir)
		}
	}
	slices.SortFunc(m.Releases, func(a, b release.Release) int {
		v, _ := release.ParseVersion(a.Version)
		w, _ := release.ParseVersion(b.Version)
		return w.Compare(v)
	})
	return m, m.Check()
}

// programs finds the programs of a folder, by version.
func programs(dir string) (map[string][]release.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of updates: %w", err)
	}
	found := make(map[string][]release.File)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), programPrefix)
		if !ok || !e.Type().IsRegular() {
			continue
		}
		f, version, err := survey(filepath.Join(dir, e.Name()), strings.TrimSuffix(rest, ".exe"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		found[version] = append(found[version], f)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no program in %s: put them there, named %sVERSION_OS_ARCH", dir, programPrefix)
	}
	return found, nil
}

// survey looks at one program; name is VERSION_OS_ARCH.
func survey(file, name string) (release.File, string, error) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 {
		return release.File{}, "", fmt.Errorf("want the name %sVERSION_OS_ARCH", programPrefix)
	}
	v, err := release.ParseVersion(parts[0])
	if err != nil {
		return release.File{}, "", err
	}
	f := release.File{OS: parts[1], Arch: parts[2], Name: filepath.Base(file)}
	if err := isAgent(file, f); err != nil {
		return f, "", err
	}
	f.Size, f.SHA256, err = digest(file)
	return f, v.String(), err
}

// isAgent tells whether a program is an agent for the system that it is named
// after. That it is the version it is named after shows where it is run: agents
// look before they change over.
func isAgent(file string, want release.File) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("it is no program built by Go: %w", err)
	}
	built := make(map[string]string)
	for _, s := range info.Settings {
		built[s.Key] = s.Value
	}
	if built["GOOS"] != want.OS || built["GOARCH"] != want.Arch {
		return fmt.Errorf("it is built for %s/%s", built["GOOS"], built["GOARCH"])
	}
	if path.Base(info.Path) != "agent" {
		return fmt.Errorf("it is the program %s and not an agent", info.Path)
	}
	return nil
}

func digest(file string) (size int64, sum string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", fmt.Errorf("read the program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, "", fmt.Errorf("read the program: %w", err)
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}

// Check tells whether the programs of a folder are those that a manifest names.
func Check(dir string, m release.Manifest) error {
	var bad error
	for _, r := range m.Releases {
		for _, f := range r.Files {
			size, sum, err := digest(filepath.Join(dir, f.Name))
			if err == nil && (size != f.Size || sum != f.SHA256) {
				err = fmt.Errorf("%s is not the program that was signed: sign the folder anew", f.Name)
			}
			bad = errors.Join(bad, err)
		}
	}
	return bad
}

// Write puts a signed manifest into a folder, at once for who reads it.
func Write(dir string, signed []byte) error {
	tmp, err := os.CreateTemp(dir, "."+ManifestName+"-*")
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	_, err = tmp.Write(signed)
	// The collector may be another user than who signs, and there is nothing
	// secret in it.
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, ManifestName))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the manifest: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}
