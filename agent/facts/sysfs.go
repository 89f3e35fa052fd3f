package facts

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
)

const (
	// maxValueFile is the size of a file that holds one value; those of the
	// kernel have at most a page, which is 64 KiB on some machines.
	maxValueFile = 64 << 10
	// maxEntries is how many entries of a folder are looked at.
	maxEntries = 4096
)

// attributes reads the kernel's files of one value. Most of them exist on some
// machines only, and some of those that exist have no value at times, so that
// only what the agent may not read is a fault.
type attributes struct {
	h   *host.Host
	bad faults
}

// text returns a value without the blanks and NULs around it, "" for none.
func (a *attributes) text(elements ...string) string {
	return softwareText(a.raw(elements...))
}

func (a *attributes) raw(elements ...string) []byte {
	b, err := a.h.ReadFile(path.Join(elements...), maxValueFile)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			a.bad.add(err)
		}
		return nil
	}
	return b
}

// number returns a decimal number of no more than 63 bits, which is never
// negative.
func (a *attributes) number(elements ...string) (int64, bool) {
	n, err := strconv.ParseInt(a.text(elements...), 10, 64)
	return n, err == nil && n >= 0
}

// names returns the entries of a folder, sorted.
func (a *attributes) names(elements ...string) []string {
	dir := path.Join(elements...)
	entries, err := fs.ReadDir(a.h.FS, dir)
	if err != nil && errors.Is(err, fs.ErrPermission) {
		a.bad.add(err)
	}
	names := make([]string, 0, min(len(entries), maxEntries))
	for _, e := range entries[:min(len(entries), maxEntries)] {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// link returns where a symbolic link leads, "" for what is none.
func (a *attributes) link(elements ...string) string {
	target, err := fs.ReadLink(a.h.FS, path.Join(elements...))
	if err != nil {
		return ""
	}
	return target
}

// has tells whether there is such a file or folder.
func (a *attributes) has(elements ...string) bool {
	_, err := fs.Stat(a.h.FS, path.Join(elements...))
	return err == nil
}

// settings returns the variables of a file in the syntax of os-release: lines
// of NAME=value, where the value may stand in quotes as in a shell. Of two with
// one name the last counts.
func settings(data []byte) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.TrimSpace(value)
		// What was not written whole is a quote without its end.
		torn := value != "" && (value[0] == '"' || value[0] == '\'') && strings.Count(value, value[:1]) < 2
		if !ok || name == "" || strings.HasPrefix(name, "#") || torn {
			continue
		}
		out[strings.TrimSpace(name)] = softwareText([]byte(unquote(value)))
	}
	return out
}

// unquote takes the quotes of a shell off a word.
func unquote(s string) string {
	if len(s) < 2 || (s[0] != '"' && s[0] != '\'') || s[len(s)-1] != s[0] {
		return s
	}
	single := s[0] == '\''
	s = s[1 : len(s)-1]
	if single || !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
