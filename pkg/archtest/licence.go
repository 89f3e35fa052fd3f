package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licences are the ones that what we ship may stand under, each told by words
// of its text that the others do not have.
var licences = []struct{ name, words string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MPL-2.0", "mozilla public license"},
	{"BSD", "redistribution and use in source and binary forms"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"ISC", "permission to use, copy, modify, and distribute this software for any purpose"},
	{"Zlib", "permission is granted to anyone to use this software for any purpose"},
	{"CC0-1.0", "cc0 1.0 universal"},
	{"Unlicense", "this is free and unencumbered software released into the public domain"},
}

var (
	blanks = regexp.MustCompile(`[\s*#/]+`)
	gnu    = regexp.MustCompile(`gnu (lesser |affero |library )?general public license`)
)

// Licence names the licence of a text, or returns "" for one that is not
// allowed here or not known.
func Licence(text string) string {
	text = strings.TrimSpace(blanks.ReplaceAllString(strings.ToLower(text), " "))
	// The MPL names the GNU licences far down, as ones it may be combined with;
	// at the top they mean themselves.
	if gnu.MatchString(text[:min(len(text), 500)]) {
		return ""
	}
	for _, l := range licences {
		if strings.Contains(text, l.words) {
			return l.name
		}
	}
	return ""
}

// CheckLicences returns one line for each module that our packages or their
// tests are built from and whose licence is missing or not allowed.
func CheckLicences(root string) ([]string, error) {
	modules := map[string]string{}
	for _, goos := range systems {
		out, err := goList(root, goos, "-deps", "-test", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "./...")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(out)) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				modules[name] = dir
			}
		}
	}
	var broken []string
	for name, dir := range modules {
		if problem := moduleLicence(dir); problem != "" {
			broken = append(broken, fmt.Sprintf("module %s: %s", name, problem))
		}
	}
	if len(modules) == 0 {
		broken = append(broken, "go list names no module at all: this check looks at nothing")
	}
	slices.Sort(broken)
	return broken, nil
}

// moduleLicence says what is wrong with the licence of the module in dir, or "".
func moduleLicence(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	var refused []string
	for _, e := range entries {
		upper := strings.ToUpper(e.Name())
		if e.IsDir() || !(strings.HasPrefix(upper, "LICEN") || strings.HasPrefix(upper, "COPYING") || strings.HasPrefix(upper, "UNLICENSE")) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err.Error()
		}
		if Licence(string(text)) != "" {
			return ""
		}
		refused = append(refused, e.Name())
	}
	if len(refused) == 0 {
		return "no licence file"
	}
	return fmt.Sprintf("the licence in %s is not one that may be shipped here", strings.Join(refused, ", "))
}
