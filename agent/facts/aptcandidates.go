package facts

import (
	"bytes"

	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var (
	paragraphEnd = []byte("\n\n")
	packageField = []byte("Package: ")
)

// aptCandidate is an installed package and the newest versions that archives
// have of it.
type aptCandidate struct {
	name, arch, installed string
	// next is the package of the same name and another architecture, 0 for
	// none.
	next int
	// automatic is from archives that always count, optional from those that
	// count for what came from them, security from those for such updates.
	automatic, optional, security string
}

// aptCandidates finds installed packages by name.
type aptCandidates struct {
	byName map[string]int
	// all begins with one that is none, so that 0 ends a chain.
	all []aptCandidate
}

func newAptCandidates(packages []debPackage) *aptCandidates {
	c := &aptCandidates{byName: make(map[string]int, len(packages)), all: make([]aptCandidate, 1, len(packages)+1)}
	for _, p := range packages {
		name := string(p.name)
		c.all = append(c.all, aptCandidate{name: name, arch: string(p.arch), installed: string(p.version), next: c.byName[name]})
		c.byName[name] = len(c.all) - 1
	}
	return c
}

// scan looks at whole paragraphs. Nearly all of them are of packages that are
// not installed, so it goes from one name to the next and looks at the rest of
// a paragraph only when the name is wanted.
func (c *aptCandidates) scan(b []byte, from aptList) {
	for at := 0; ; {
		// The capital is rare, so that this is a search for one byte.
		next := bytes.Index(b[at:], packageField)
		if next < 0 {
			return
		}
		at += next + len(packageField)
		if start := at - len(packageField); start > 0 && b[start-1] != '\n' {
			continue
		}
		name := b[at:]
		end := bytes.IndexByte(name, '\n')
		if end < 0 {
			end = len(name)
		}
		at += end
		if i := c.byName[string(bytes.TrimSpace(name[:end]))]; i > 0 {
			c.offer(i, paragraphAround(b, at), from)
		}
	}
}

// paragraphAround returns the paragraph that b[at-1] is part of.
func paragraphAround(b []byte, at int) []byte {
	start := bytes.LastIndex(b[:at], paragraphEnd)
	if start < 0 {
		start = 0
	} else {
		start += len(paragraphEnd)
	}
	if end := bytes.Index(b[at:], paragraphEnd); end >= 0 {
		return b[start : at+end]
	}
	return b[start:]
}

// offer takes in the version of a paragraph for the packages of its name that
// it fits.
func (c *aptCandidates) offer(i int, paragraph []byte, from aptList) {
	var version, arch string
	for len(paragraph) > 0 {
		var line []byte
		line, paragraph, _ = bytes.Cut(paragraph, paragraphEnd[:1])
		key, value, _ := bytes.Cut(line, []byte(": "))
		switch string(key) {
		case "Version":
			version = string(value)
		case "Architecture":
			arch = string(value)
		case "Phased-Update-Percentage":
			if string(value) == "0" {
				return
			}
		}
	}
	for ; i > 0; i = c.all[i].next {
		p := &c.all[i]
		if arch != p.arch && arch != "all" && p.arch != "all" {
			continue
		}
		target := &p.automatic
		if from.optional {
			target = &p.optional
		}
		newer(target, version)
		if from.security {
			newer(&p.security, version)
		}
	}
}

// newer replaces a version by one that is newer.
func newer(version *string, by string) {
	if by != "" && (*version == "" || pkgversion.Deb(by, *version) > 0) {
		*version = by
	}
}

// updates returns what is newer than installed, in the order of the installed
// packages.
func (c *aptCandidates) updates() []*pb.PendingUpdate {
	var out []*pb.PendingUpdate
	for i := range c.all[1:] {
		p := &c.all[1+i]
		best := p.automatic
		if p.optional != "" && (best == "" || pkgversion.Deb(p.installed, best) > 0) {
			// The installed version is newer than the archives that always
			// count have it: it came from one of the others.
			newer(&best, p.optional)
		}
		if best == "" || pkgversion.Deb(best, p.installed) <= 0 {
			continue
		}
		severity := severityNone
		if p.security != "" && pkgversion.Deb(p.security, p.installed) > 0 {
			severity = severitySecurity
		}
		out = append(out, &pb.PendingUpdate{
			Id: softwareText([]byte(p.name)), Version: softwareText([]byte(best)), Severity: severity,
		})
	}
	return out
}
