package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// expect fails unless each want is part of one line of broken, and no line is
// left over.
func expect(t *testing.T, broken, want []string) {
	t.Helper()
	rest := slices.Clone(broken)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(b string) bool { return strings.Contains(b, w) })
		if i < 0 {
			t.Errorf("no line says %q in %q", w, broken)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, r := range rest {
		t.Errorf("unexpected: %s", r)
	}
}

func TestCheckImportsSeesEachBreak(t *testing.T) {
	rooms := []Room{
		{Dir: "agent", May: []string{"agent/host", "pkg/..."}, Why: "main wires the agent"},
		{Dir: "agent/host", Why: "the host hands out bytes"},
		{Dir: "collector/merge", May: []string{"proto"}, Pure: true, Why: "merge is a function"},
		{Dir: "collector/store", Why: "the store stores"},
		{Dir: "pkg/section", Why: "shared"},
	}
	guests := []Guest{
		{Path: "example.com/engine", Only: []string{"collector/store"}, Why: "one engine, one home"},
		{Path: "os/exec", Only: []string{"agent/host"}, Tests: true, Why: "one list of commands"},
	}
	clean := func() map[string]*Package {
		return map[string]*Package{
			"agent":           {Dir: "agent", Imports: []string{"fmt", Module + "/agent/host", Module + "/pkg/section"}},
			"agent/host":      {Dir: "agent/host", Imports: []string{"os/exec", "os"}},
			"collector/merge": {Dir: "collector/merge", Imports: []string{Module + "/proto", "strings"}, TestImports: []string{"os", "os/exec"}},
			"collector/store": {Dir: "collector/store", Imports: []string{"example.com/engine/options"}},
			"pkg/section":     {Dir: "pkg/section"},
		}
	}
	tests := []struct {
		name   string
		change func(map[string]*Package)
		want   []string
	}{
		{"all is well", func(map[string]*Package) {}, nil},
		{"an arrow that is not in the table", func(p map[string]*Package) {
			p["collector/merge"].Imports = []string{Module + "/collector/store"}
		}, []string{"collector/merge imports collector/store: merge is a function"}},
		{"a pattern stands for what is below, not beside", func(p map[string]*Package) {
			p["agent"].Imports = []string{Module + "/pkgs"}
		}, []string{"agent imports pkgs: main wires the agent"}},
		{"the agent imports the collector", func(p map[string]*Package) {
			p["agent"].Imports = []string{Module + "/collector/store"}
		}, []string{"agent imports collector/store"}},
		{"a test of one side imports the other", func(p map[string]*Package) {
			p["agent/host"].TestImports = []string{Module + "/collector/store"}
		}, []string{"a test in agent/host imports collector/store: agent and collector meet over the wire"}},
		{"a test of what is shared imports a side", func(p map[string]*Package) {
			p["pkg/section"].TestImports = []string{Module + "/agent"}
		}, []string{"a test in pkg/section imports agent"}},
		{"a pure room touches the world", func(p map[string]*Package) {
			p["collector/merge"].Imports = []string{"log/slog"}
		}, []string{"collector/merge imports log/slog but is pure"}},
		{"an engine outside its home", func(p map[string]*Package) {
			p["agent"].Imports = []string{"example.com/engine"}
		}, []string{"agent imports example.com/engine: one engine, one home"}},
		{"an engine in a test outside its home", func(p map[string]*Package) {
			p["agent"].TestImports = []string{"example.com/engine"}
		}, []string{"a test in agent imports example.com/engine"}},
		{"a package without a row", func(p map[string]*Package) {
			p["new"] = &Package{Dir: "collector/new"}
		}, []string{"collector/new has no row"}},
		{"a row without a package", func(p map[string]*Package) { delete(p, "pkg/section") },
			[]string{"pkg/section has a row"}},
		{"a guest that has left", func(p map[string]*Package) { p["collector/store"].Imports = nil },
			[]string{"nothing imports example.com/engine any more"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packages := clean()
			tt.change(packages)
			var list []Package
			for _, p := range packages {
				list = append(list, *p)
			}
			expect(t, CheckImports(rooms, guests, list), tt.want)
		})
	}
}

func TestCheckSourceSeesEachBreak(t *testing.T) {
	const head = "// Package a does one thing.\npackage a\n"
	long := func(lines int) string { return strings.Repeat("\t_ = 0\n", lines) }
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"all is well", map[string]string{"a/a.go": head}, nil},
		{"a command", map[string]string{"a/a.go": "// Command b does it.\npackage main\n"}, nil},
		{"no comment", map[string]string{"a/a.go": "package a\n"}, []string{"a has no package comment"}},
		{"a comment below the clause", map[string]string{"a/a.go": "package a\n\n// Package a does one thing.\n"}, []string{"a has no package comment"}},
		{"a comment of another package", map[string]string{"a/a.go": "// Package b does one thing.\npackage a\n"}, []string{`does not begin with "Package a "`}},
		{"a command that calls itself a package", map[string]string{"a/a.go": "// Package main does it.\npackage main\n"}, []string{`does not begin with "Command "`}},
		{"half a sentence", map[string]string{"a/a.go": "// Package a does one thing\npackage a\n"}, []string{"whole sentence"}},
		{"two comments", map[string]string{"a/a.go": head, "a/b.go": head}, []string{"package comments in a/a.go and a/b.go"}},
		{"a vague package", map[string]string{"a/util/a.go": strings.ReplaceAll(head, " a", " util")}, []string{`the name "util"`}},
		{"a vague file", map[string]string{"a/a.go": head, "a/helpers_test.go": "package a\n"}, []string{`the name "helpers"`}},
		{"a file of one system", map[string]string{"a/a.go": head, "a/b_windows.go": "package a\n"}, []string{"a/b_windows.go: only sys may be bound"}},
		{"a test of one processor", map[string]string{"a/a.go": head, "a/b_arm64_test.go": "package a\n"}, []string{"a/b_arm64_test.go: only sys may be bound"}},
		{"a build tag", map[string]string{"a/a.go": "//go:build !windows\n\n" + head}, []string{`build tag "//go:build !windows"`}},
		{"a system where systems are allowed", map[string]string{"sys/a.go": strings.ReplaceAll(head, " a", " sys"), "sys/a_linux.go": "//go:build linux\n\npackage sys\n"}, nil},
		{"a file over budget", map[string]string{"a/a.go": head + strings.Repeat("//\n", MaxFileLines-1)}, []string{"a/a.go has 401 lines"}},
		{"a file at its budget", map[string]string{"a/a.go": head + strings.Repeat("//\n", MaxFileLines-2)}, nil},
		{"a long test is no matter", map[string]string{"a/a.go": head, "a/a_test.go": "package a\n" + strings.Repeat("//\n", MaxFileLines)}, nil},
		{"generated code is no matter", map[string]string{"a/a.go": head, "a/b.go": "// Code generated by x. DO NOT EDIT.\npackage a\n" + strings.Repeat("//\n", MaxFileLines)}, nil},
		{"a function over budget", map[string]string{"a/a.go": head + "func f() {\n" + long(MaxFunctionLines-1) + "}\n"}, []string{"a/a.go:f has 61 lines"}},
		{"a method over budget", map[string]string{"a/a.go": head + "func (t *T[K]) f() {\n" + long(MaxFunctionLines-1) + "}\n"}, []string{"a/a.go:T.f has 61 lines"}},
		{"a function at its budget", map[string]string{"a/a.go": head + "func f() {\n" + long(MaxFunctionLines-2) + "}\n"}, nil},
		{"six parameters", map[string]string{"a/a.go": head + "func f(a, b, c int, d, e, f string) {}\n"}, []string{"a/a.go:f has 6 parameters"}},
		{"six methods", map[string]string{"a/a.go": head + "type I interface { A(); B(); C(); D(); E(); F() }\n"}, []string{"a/a.go:I has 6 methods"}},
		{"testdata is not ours", map[string]string{"a/a.go": head, "a/testdata/util/x_windows.go": "package x\n"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range tt.files {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			broken, err := CheckSource(tree, Rules{Systems: []string{"sys"}})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, broken, tt.want)
		})
	}
}

func TestExceptionsCoverWhatTheyNameAndNoMore(t *testing.T) {
	text := "// Package a does one thing.\npackage a\n\nfunc f(a, b, c, d, e, f int) {}\n\nfunc g(a, b, c, d, e, f int) {}\n"
	tree := fstest.MapFS{"a/a.go": {Data: []byte(text)}}
	broken, err := CheckSource(tree, Rules{Exceptions: map[string]string{
		"a/a.go:f": "mirrors a call of the system",
		"a/a.go:h": "was long once",
	}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, broken, []string{"a/a.go:g has 6 parameters", "a/a.go:h is within its budget"})
}

func TestUnreadableSourceIsAnError(t *testing.T) {
	if _, err := CheckSource(fstest.MapFS{"a.go": {Data: []byte("pakcage a")}}, Rules{}); err == nil {
		t.Error("a file that is not Go was passed over")
	}
}

func TestModuleLicence(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"MIT", "LICENSE", "MIT License\n\nPermission is hereby granted, free of charge, to any person\n   obtaining a copy of", ""},
		{"BSD", "LICENSE.md", "Redistribution and use in source and binary\nforms, with or without", ""},
		{"Apache", "LICENSE.txt", "      Apache License\n   Version 2.0, January 2004", ""},
		{"MPL names the GPL as one that it goes with", "LICENCE", "Mozilla Public License, version 2.0\n" + strings.Repeat("text ", 200) + "the GNU General Public License", ""},
		{"ISC", "COPYING", "Permission to use, copy, modify, and distribute this\nsoftware for any purpose", ""},
		{"Zlib", "LICENSE", "Permission is granted to anyone to use this software\nfor any purpose", ""},
		{"GPL", "COPYING", "GNU GENERAL PUBLIC LICENSE\nVersion 2", "COPYING is not one"},
		{"AGPL", "LICENSE", "GNU AFFERO GENERAL\nPUBLIC LICENSE", "LICENSE is not one"},
		{"something else", "LICENSE", "You may look but not touch.", "LICENSE is not one"},
		{"none", "README", "hello", "no licence file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := moduleLicence(dir)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTableIsInOrder keeps the table itself honest: no row twice, none that
// joins the two sides, none without its reason.
func TestTableIsInOrder(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rooms {
		if seen[r.Dir] {
			t.Errorf("%s has two rows", r.Dir)
		}
		seen[r.Dir] = true
		if r.Why == "" {
			t.Errorf("%s has no reason", r.Dir)
		}
		for _, m := range r.May {
			if opposite(r.Dir, m) {
				t.Errorf("the row of %s lets it import %s", r.Dir, m)
			}
		}
	}
	for _, g := range Guests {
		if g.Why == "" || len(g.Only) == 0 {
			t.Errorf("%s has no home or no reason", g.Path)
		}
	}
	for key, why := range Source.Exceptions {
		if why == "" {
			t.Errorf("the exception of %s has no reason", key)
		}
	}
}
