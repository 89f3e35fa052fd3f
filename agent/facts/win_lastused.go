package facts

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// lastUses are the programs that Windows has noted a use of, sorted by path. A
// path is in lower case and without its drive, which one of the sources does
// not have; the name of an app from a package is its family.
type lastUses []lastUse

type lastUse struct {
	path string
	at   time.Time
	// time is for how long the program's windows had been in front of whoever
	// used it, as far as that is noted.
	time time.Duration
}

const (
	// maxUses bounds the notes of one user that are read.
	maxUses = 10_000
	// assistKey is where the shell remembers what a person started with it.
	assistKey = `Software\Microsoft\Windows\CurrentVersion\Explorer\UserAssist`
)

// lastUses reads where Windows notes when programs were used: the background
// activity moderator, for each user, and what the shell remembers of each, logged
// on or not. The day is enough: an inventory is no time sheet.
func (r *winreg) lastUses() lastUses {
	var out lastUses
	for _, service := range []string{`bam\State\UserSettings`, `bam\UserSettings`} {
		for _, sid := range r.key(servicesKey, service).subkeys() {
			if isPerson(sid) {
				out = append(out, moderated(r.key(servicesKey, service, `\`, sid))...)
			}
		}
	}
	for _, p := range r.people() {
		out = append(out, p.uses()...)
	}
	slices.SortFunc(out, func(a, b lastUse) int { return cmp.Or(strings.Compare(a.path, b.path), a.at.Compare(b.at)) })
	return out
}

// uses returns what the shell remembers of a person.
func (p person) uses() lastUses {
	var out lastUses
	for _, guid := range p.key(assistKey).subkeys() {
		out = append(out, assisted(p.key(assistKey, `\`, guid, `\Count`))...)
	}
	return out
}

// under returns when anything below a folder was last used, or the file or
// package itself. Folders that many programs share tell nothing.
func (u lastUses) under(folder string) time.Time {
	path := usePath(folder)
	if path == "" || slices.Contains(sharedFolders, path) {
		return time.Time{}
	}
	at, _ := slices.BinarySearchFunc(u, path, func(a lastUse, path string) int { return strings.Compare(a.path, path) })
	var last time.Time
	for ; at < len(u) && strings.HasPrefix(u[at].path, path); at++ {
		if rest := u[at].path[len(path):]; rest == "" || rest[0] == '\\' {
			last = latest(last, u[at].at)
		}
	}
	return last
}

var sharedFolders = []string{
	`\`, `\program files`, `\program files (x86)`, `\program files\common files`, `\program files (x86)\common files`,
	`\windows`, `\windows\system32`, `\windows\syswow64`, `\windows\installer`, `\programdata`, `\users`,
}

// usePath returns a path in the form in which uses are kept.
func usePath(name string) string {
	if driveOf(name) != "" {
		name = name[2:]
	}
	if name == "" {
		return ""
	}
	return strings.ToLower(strings.TrimRight(name, `\`))
}

// moderated reads the values of a user of the background activity moderator:
// the path of a program by its device, or the family of one from a package, and
// the time in the first eight bytes.
func moderated(k regKey) lastUses {
	var out lastUses
	for name, data := range k.binary() {
		path := strings.ToLower(name)
		if rest, device := strings.CutPrefix(path, `\device\`); device {
			_, path, device = strings.Cut(rest, `\`)
			if path = `\` + path; !device {
				continue
			}
		} else if !isFamily(path) {
			// Two numbers are kept beside.
			continue
		}
		if at := day(fileTimeOf(data)); !at.IsZero() {
			out = append(out, lastUse{path: path, at: at})
		}
	}
	return out
}

// isFamily tells whether a text can be the name of a package's family: the name,
// and 13 letters and digits for the publisher.
func isFamily(text string) bool {
	const publisher = 13
	at := strings.LastIndexByte(text, '_')
	return at > 0 && len(text)-at-1 == publisher && !strings.ContainsAny(text, `\:/ `)
}

// knownFolders are those that the shell writes as their GUID.
var knownFolders = map[string]string{
	"{6d809377-6af0-444b-8957-a3773f02200e}": `\program files`,
	"{905e63b6-c1bf-494e-b29c-65b732d3d21a}": `\program files`,
	"{7c5a40ef-a0fb-4bfc-874a-c0f2e0b9fa8e}": `\program files (x86)`,
	"{f38bf404-1d43-42f2-9305-67de0b28fc23}": `\windows`,
	"{1ac14e77-02e7-4e5d-b744-2eb1ae5198b7}": `\windows\system32`,
	"{d65231b0-b2f1-4857-a4ce-a8e7c6ea7d27}": `\windows\syswow64`,
}

// assisted reads what the shell remembers of the programs that a user started
// with it: names with each letter moved by 13, at byte 12 for how many
// milliseconds their windows were in front, and the time at byte 60. What has
// the name of UEME_... sums others up, in another form.
func assisted(k regKey) lastUses {
	const size, frontAt, timeAt = 72, 12, 60
	var out lastUses
	for name, data := range k.binary() {
		if len(data) < size {
			continue
		}
		at := day(fileTimeOf(data[timeAt:]))
		if at.IsZero() {
			continue
		}
		path := strings.ToLower(strings.Map(rot13, name))
		if strings.HasPrefix(path, "ueme_") {
			continue
		}
		if folder, rest, ok := strings.Cut(path, `\`); ok && strings.HasPrefix(folder, "{") {
			path = knownFolders[folder] + `\` + rest
			if knownFolders[folder] == "" {
				path = ""
			}
		} else if family, _, ok := strings.Cut(path, "!"); ok {
			path = family
		}
		front := time.Duration(binary.LittleEndian.Uint32(data[frontAt:])) * time.Millisecond
		out = append(out, lastUse{path: usePath(path), at: at, time: front})
	}
	return out
}

func rot13(c rune) rune {
	switch {
	case c >= 'a' && c <= 'z':
		return 'a' + (c-'a'+13)%26
	case c >= 'A' && c <= 'Z':
		return 'A' + (c-'A'+13)%26
	}
	return c
}

// day returns the day of a time, none for none.
func day(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Truncate(24 * time.Hour)
}
