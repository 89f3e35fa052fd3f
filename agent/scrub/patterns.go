package scrub

import (
	"bytes"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// pattern is a form that names somebody or something whoever it is.
type pattern struct {
	// anchor is in every match, behind at most back bytes that before takes.
	// Looking for it first is ten times as fast as matching at every byte.
	anchor string
	before func(byte) bool
	back   int
	form   func() *regexp.Regexp
	// standIn returns what takes the place of data[begin:end], or nil for what
	// only looks like it.
	standIn func(s *Scrubber, data []byte, begin, end int) []byte
}

// maxMatch bounds what a form can match.
const maxMatch = 600

var patterns = []pattern{
	// The name and the password in a URL, which is told as far as it is one.
	{"://", nil, 0, compiled(`^://[^\s/:@"'<>]{1,64}:[^\s/@"'<>]{1,128}@`), (*Scrubber).userinfo},
	{"@", mailByte, 64, compiled(`^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}`), (*Scrubber).mail},
	// Of a machine, a domain or a directory; what follows is the account's own.
	{"S-1-", nil, 0, compiled(`^S-1-(?:5-21|12-1)-\d{1,10}-\d{1,10}-\d{1,10}(?:-\d{1,10})?`), (*Scrubber).securityID},
	{"-", isHex, 8, compiled(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}`), (*Scrubber).uuid},
	{":", isHex, 2, compiled(`^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,19}`), (*Scrubber).hardwareAddress},
	{"-", isHex, 2, compiled(`^[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5,19}`), (*Scrubber).hardwareAddress},
	{":", isHex, 4, compiled(`^[0-9A-Fa-f]{3,4}(?::[0-9A-Fa-f]{0,4}){2,7}`), (*Scrubber).address6},
	{".", isDigit, 3, compiled(`^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`), (*Scrubber).address4},
}

// compiled compiles a form when it is first used: most runs of the agent scrub
// nothing.
func compiled(form string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(form) })
}

// each calls fn with where the form is matched, from left to right.
func (p pattern) each(data []byte, fn func(begin, end int)) {
	for from, last := 0, 0; ; {
		next := bytes.Index(data[from:], []byte(p.anchor))
		if next < 0 {
			return
		}
		anchor := from + next
		begin := anchor
		for begin > last && anchor-begin < p.back && p.before(data[begin-1]) {
			begin--
		}
		from = anchor + len(p.anchor)
		if at := p.form().FindIndex(data[begin:min(begin+maxMatch, len(data))]); at != nil {
			last = begin + at[1]
			from = max(from, last)
			fn(begin, last)
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func mailByte(c byte) bool {
	return c < utf8.RuneSelf && wordByte(c) || strings.IndexByte("._%+-", c) >= 0
}

// alone tells whether what stands in a place is not part of something longer.
func alone(data []byte, begin, end int, also string) bool {
	return !(begin > 0 && (wordByte(data[begin-1]) || strings.IndexByte(also, data[begin-1]) >= 0)) &&
		!(end < len(data) && (wordByte(data[end]) || strings.IndexByte(also, data[end]) >= 0))
}

func (s *Scrubber) userinfo(data []byte, begin, end int) []byte {
	found := data[begin:end]
	return append(append([]byte("://"), s.shaped(string(found), found[3:len(found)-1])...), '@')
}

// mail keeps the last label of the domain. Units of systemd and packages of npm
// look like mail.
func (s *Scrubber) mail(data []byte, begin, end int) []byte {
	found := data[begin:end]
	last := bytes.LastIndexByte(found, '.')
	top := strings.ToLower(string(found[last+1:]))
	if !hasLetter(top) || unitSuffixes[top] || s.kept[strings.ToLower(string(found))] {
		return nil
	}
	return s.words(found[:last])
}

// unitSuffixes end names of systemd's units and of files, not of domains.
var unitSuffixes = words("service socket target timer mount slice scope path device automount swap js ts json so png svg py conf")

func (s *Scrubber) securityID(data []byte, begin, end int) []byte {
	if !alone(data, begin, end, "") {
		return nil
	}
	parts := strings.Split(string(data[begin:end]), "-")
	value := strings.Join(parts[4:7], "-")
	last := 7
	if parts[2] == "12" {
		// All of an account of Entra is the account's.
		last = len(parts)
	}
	for i := 4; i < last; i++ {
		parts[i] = string(s.number(value+" "+parts[i], []byte(parts[i]), 1<<32-1))
	}
	return []byte(strings.Join(parts, "-"))
}

// wellKnown are UUIDs of standards that facts look for.
var wellKnown = words("8be4df61-93ca-11d2-aa0d-00e098032b8c d719b2cb-3d3a-4596-a3bc-dad00e67656f 605dab50-e046-4300-abb6-3dd810dd8b23")

func (s *Scrubber) uuid(data []byte, begin, end int) []byte {
	found := data[begin:end]
	lower := strings.ToLower(string(found))
	braces := begin > 0 && data[begin-1] == '{'
	if !s.Identifiers || braces || !alone(data, begin, end, "") || s.kept[lower] || wellKnown[lower] || placeholder(strings.ReplaceAll(lower, "-", "")) {
		return nil
	}
	return s.hexDigits(found)
}

// hardwareAddress keeps the maker's part.
func (s *Scrubber) hardwareAddress(data []byte, begin, end int) []byte {
	found := data[begin:end]
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "").Replace(string(found)))
	if !alone(data, begin, end, ":") || placeholder(digits) {
		return nil
	}
	return s.hexAfter(found, 6)
}

// HideHardwareAddress hides the address of a network interface where it is
// written without anything between its digits, too.
func (s *Scrubber) HideHardwareAddress(value string) {
	plain := strings.NewReplacer(":", "", "-", "").Replace(strings.TrimSpace(value))
	if len(plain) < 12 || placeholder(strings.ToLower(plain)) {
		return
	}
	s.add(plain, secret{apart: true, standIn: func(found []byte) []byte { return s.hexAfter(found, 6) }})
}

// address6 keeps the first part, which tells what kind of an address it is, and
// which parts are zero.
func (s *Scrubber) address6(data []byte, begin, end int) []byte {
	found := data[begin:end]
	addr, err := netip.ParseAddr(string(found))
	if err != nil || !alone(data, begin, end, ":") || addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() {
		return nil
	}
	groups := strings.Split(string(found), ":")
	for i, g := range groups {
		if i > 0 && strings.Trim(g, "0") != "" {
			// By all before it too, so that one network stays one.
			groups[i] = string(s.group6(addr, i, g))
		}
	}
	return []byte(strings.Join(groups, ":"))
}

// group6 replaces one group by what follows from the address up to it.
func (s *Scrubber) group6(addr netip.Addr, i int, g string) []byte {
	raw := addr.As16()
	// Behind the gap of ::, groups are counted from the end.
	upTo := raw[:min(2*i+2, 16)]
	random := s.stream("address6", string(upTo)+g, len(g))
	out := []byte(g)
	for n, c := range out {
		letters := "0123456789abcdef"
		if c >= 'A' && c <= 'F' {
			letters = "0123456789ABCDEF"
		}
		out[n] = letters[random[n]%16]
		if n == 0 && out[n] == '0' {
			out[n] = '1'
		}
	}
	return out
}

// address4 keeps what tells the kind of an address, and one network one. A
// version of four numbers is none where something stands beside it.
func (s *Scrubber) address4(data []byte, begin, end int) []byte {
	found := data[begin:end]
	addr, err := netip.ParseAddr(string(found))
	beside := end+1 < len(data) && strings.IndexByte("-+~.:", data[end]) >= 0 && wordByte(data[end+1]) && data[end] != ':'
	if err != nil || !alone(data, begin, end, "") || beside || begin > 0 && strings.IndexByte(".+~", data[begin-1]) >= 0 || s.kept[string(found)] {
		return nil
	}
	a := addr.As4()
	if addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || a[0] == 0 || a[0] >= 224 {
		return nil
	}
	parts := bytes.Split(found, []byte{'.'})
	keep := 1
	if a[0] == 192 && a[1] == 168 || a[0] == 169 && a[1] == 254 || a[0] == 172 && a[1]&0xf0 == 16 {
		keep = 2
	}
	for i := keep; i < 4; i++ {
		if a[i] != 0 && a[i] != 255 {
			parts[i] = s.number("address4 "+string(a[:i+1]), parts[i], 254)
		}
	}
	return bytes.Join(parts, []byte{'.'})
}
