package facts

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-itam/rollcall/agent/facts/codesign"
)

// appleName is how Apple signs and how it is called as a maker.
const appleName = "Apple Inc."

// sign learns from an application's executable for which processors it was
// built and who signed it. base is the folder that holds the bundle's contents.
// What Apple ships is sealed with the system, so that it need not be read.
func (w *macApps) sign(a *macApp, base, executable string) {
	name := path.Join(base, "Contents/MacOS", executable)
	if base != a.dir {
		name = path.Join(base, executable)
	}
	if executable == "" || !fs.ValidPath(executable) {
		return
	}
	// Only its two ends are of interest, so that its length is no fault. Those
	// that cannot be read or decoded are scripts, or were stripped of it: the
	// application is there all the same.
	if head, _ := w.h.ReadFile(name, codesign.HeadSize); len(head) > 0 {
		if built, err := codesign.Architectures(head); err == nil {
			a.architecture = macArchitecture(built)
		}
	}
	if strings.HasPrefix(a.dir, "System/") {
		a.publisher = appleName
		return
	}
	tail, _, err := w.h.ReadTail(name, codesign.TailSize)
	if err != nil {
		return
	}
	if s, err := codesign.SignerOf(tail); err == nil && s.Name != storeSigner {
		a.publisher = s.Organization
		if s.Name == appleSigner {
			a.publisher = appleName
		}
	}
}

// Apple signs its own software under the one name, and what others sell in its
// App Store under the other.
const (
	appleSigner = "Software Signing"
	storeSigner = "Apple Mac OS Application Signing"
)

// macArchitecture names what an executable was built for.
func macArchitecture(built []string) string {
	if slices.Contains(built, "arm64") && slices.Contains(built, "x86_64") {
		return "universal"
	}
	for _, want := range []string{"arm64", "x86_64"} {
		if slices.Contains(built, want) {
			return want
		}
	}
	if len(built) > 0 {
		return built[0]
	}
	return ""
}

// maker returns who made an application: who signed it, Apple where the name of
// the bundle is Apple's, otherwise who claims the copyright.
func (a *macApp) maker() string {
	switch {
	case a.publisher != "":
		return a.publisher
	case strings.HasPrefix(a.id, "com.apple."):
		return appleName
	}
	return copyrightHolder(a.copyright)
}

// copyrightWords stand before the holder in a notice of copyright.
var copyrightWords = []string{"copyright", "(c)", "©", "by", "version", "and"}

// shortened are words that end in a full stop which is theirs.
var shortened = []string{"Inc.", "Ltd.", "Co.", "Corp.", "L.P.", "S.A.", "S.L.", "B.V.", "e.V.", "a.s.", "s.r.o.", "S.p.A."}

// firstSentence returns what stands before the first full stop that ends a
// sentence.
func firstSentence(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if strings.HasSuffix(w, ".") && len(w) > 3 && !slices.Contains(shortened, w) {
			words[i] = strings.TrimRight(w, ".")
			return strings.Join(words[:i+1], " ")
		}
	}
	return strings.Join(words, " ")
}

// copyrightHolder returns the holder that a notice of copyright names, "" if
// there is none to be made out: "Copyright © 2012-2024 Example Ltd. All rights
// reserved." gives "Example Ltd".
func copyrightHolder(notice string) string {
	notice, _, _ = strings.Cut(notice, "\n")
	lower := strings.ToLower(notice)
	at := max(strings.LastIndex(lower, "copyright"), strings.LastIndex(lower, "©"), strings.LastIndex(lower, "(c)"))
	if at < 0 || len(lower) != len(notice) {
		return ""
	}
	words := strings.Fields(notice[at:])
	for len(words) > 0 {
		word := strings.Trim(strings.ToLower(words[0]), ",.;:")
		word = strings.TrimLeft(strings.TrimPrefix(word, "copyright"), "©")
		if word != "" && !slices.Contains(copyrightWords, word) && strings.Trim(strings.TrimSuffix(word, "present"), "0123456789-–—,") != "" {
			break
		}
		words = words[1:]
	}
	holder := strings.Join(words, " ")
	for _, end := range []string{" all rights", " alle rechte", " tous droits", "; ", " | ", " ("} {
		if at := strings.Index(strings.ToLower(holder), end); at > 0 {
			holder = holder[:min(at, len(holder))]
		}
	}
	holder = firstSentence(strings.TrimRight(holder, " ,;:"))
	if first, _ := utf8.DecodeRuneInString(holder); !unicode.IsLetter(first) || len(holder) > 100 {
		return ""
	}
	return holder
}
