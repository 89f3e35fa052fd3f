package facts

import (
	"bytes"
	"html"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// severities of advisories from the worst down; vendors write them with a
// capital, and "none" or nothing for what is not about security.
var severities = []string{"critical", "important", "moderate", "low", severitySecurity, severityNone}

// apply adds an advisory to the updates of those installed packages that it has
// a newer version of. updateinfo.xml has one <update type status> each, with
// <id>, <title>, <severity>, <issued date>, <reference type="cve" id> and
// <package name version release epoch arch>. The files are written by machines
// in one form and are up to 100 MB large, so that elements are found by their
// names rather than by a parser of XML, which takes seconds for one.
func (in rpmInstalled) apply(advisory []byte, updates map[string]*dnfUpdate) {
	var details *pb.PendingUpdate
	eachElement(advisory, "package", func(tag []byte) {
		name, arch := xmlAttribute(tag, "name"), xmlAttribute(tag, "arch")
		have, ok := in[rpmKey(name, arch)]
		if !ok {
			return
		}
		version := evr(xmlAttribute(tag, "epoch"), xmlAttribute(tag, "version"), xmlAttribute(tag, "release"))
		if pkgversion.RPM(version, have) <= 0 {
			return
		}
		if details == nil {
			details = advisoryDetails(advisory)
		}
		key := rpmKey(name, arch)
		u := updates[key]
		if u == nil {
			u = &dnfUpdate{update: &pb.PendingUpdate{Id: softwareText([]byte(name)), Severity: severityNone}}
			updates[key] = u
		}
		if u.version == "" || pkgversion.RPM(version, u.version) > 0 {
			u.version, u.update.Version = version, softwareText([]byte(version))
			u.update.Title, u.update.PublishedAt = details.Title, details.PublishedAt
		}
		u.update.Severity = worse(u.update.Severity, details.Severity)
		if room := maxCVEs - len(u.update.Cves); room > 0 {
			u.update.Cves = append(u.update.Cves, details.Cves[:min(room, len(details.Cves))]...)
		}
	})
}

// advisoryDetails returns what an advisory says of itself.
func advisoryDetails(advisory []byte) *pb.PendingUpdate {
	head := advisory
	if end := bytes.IndexByte(advisory, '>'); end >= 0 {
		head = advisory[:end]
	}
	u := &pb.PendingUpdate{Severity: strings.ToLower(xmlText(advisory, "severity"))}
	if rank(u.Severity) == len(severities) {
		u.Severity = severityNone
	}
	if u.Severity == severityNone && xmlAttribute(head, "type") == "security" {
		u.Severity = severitySecurity
	}
	u.Title = softwareText([]byte(strings.TrimSpace(xmlText(advisory, "id") + " " + xmlText(advisory, "title"))))
	eachElement(advisory, "issued", func(tag []byte) {
		date := xmlAttribute(tag, "date")
		for _, layout := range []string{time.DateTime, time.DateOnly} {
			if t, err := time.Parse(layout, date); err == nil {
				u.PublishedAt = timestamppb.New(t)
			}
		}
	})
	eachElement(advisory, "reference", func(tag []byte) {
		if xmlAttribute(tag, "type") == "cve" && len(u.Cves) < maxCVEs {
			if id := xmlAttribute(tag, "id"); strings.HasPrefix(id, "CVE-") {
				u.Cves = append(u.Cves, softwareText([]byte(id)))
			}
		}
	})
	return u
}

func evr(epoch, version, release string) string {
	if epoch != "" && epoch != "0" {
		version = epoch + ":" + version
	}
	return version + "-" + release
}

// rank is the place of a severity, from the worst.
func rank(severity string) int {
	for i, s := range severities {
		if s == severity {
			return i
		}
	}
	return len(severities)
}

func worse(a, b string) string {
	if rank(b) < rank(a) {
		return b
	}
	return a
}

// eachElement calls fn with the start tag of every element of a name.
func eachElement(b []byte, name string, fn func(tag []byte)) {
	for open := []byte("<" + name + " "); ; {
		start := bytes.Index(b, open)
		if start < 0 {
			return
		}
		b = b[start:]
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			return
		}
		fn(b[:end])
		b = b[end:]
	}
}

// xmlAttribute returns the value of an attribute of a start tag.
func xmlAttribute(tag []byte, name string) string {
	for _, quote := range []byte{'"', '\''} {
		before := append([]byte(" "+name+"="), quote)
		if start := bytes.Index(tag, before); start >= 0 {
			value := tag[start+len(before):]
			if end := bytes.IndexByte(value, quote); end >= 0 {
				return html.UnescapeString(string(value[:end]))
			}
		}
	}
	return ""
}

// xmlText returns the text of the first element of a name.
func xmlText(b []byte, name string) string {
	_, after, ok := bytes.Cut(b, []byte("<"+name+">"))
	text, _, closed := bytes.Cut(after, []byte("</"+name+">"))
	if !ok || !closed {
		return ""
	}
	return strings.TrimSpace(html.UnescapeString(string(text)))
}
