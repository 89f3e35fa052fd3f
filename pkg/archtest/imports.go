package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Room is one package and what it may know of the others.
type Room struct {
	// Dir is the package's folder below the root of the module.
	Dir string
	// May are the folders of the packages of this module that it may import.
	// An entry that ends in /... stands for all below.
	May []string
	// Why says in words what keeps the room to that, and is shown to whoever
	// breaks it.
	Why string
	// Pure rooms do no input or output, read no clock and log nothing.
	Pure bool
}

// Guest is a package from outside this module that only some rooms may see.
type Guest struct {
	// Path is the import path; what lies below it is meant too.
	Path string
	// Only are the folders that may import it.
	Only []string
	// Tests says that any test may import it as well.
	Tests bool
	// Why says in words what the rule is good for.
	Why string
}

// impure are the packages whose use makes a package more than a function of
// its arguments.
var impure = []string{
	"context", "crypto/rand", "database/sql", "google.golang.org/grpc", "io/ioutil", "log", "math/rand",
	"net/http", "os", "syscall",
}

// CheckImports compares what the packages import with what the rooms allow and
// returns one line for each break: an import, a package without a room, a room
// or a guest that has gone and left its row behind.
func CheckImports(rooms []Room, guests []Guest, packages []Package) []string {
	var broken []string
	seen, used := map[string]bool{}, map[string]bool{}
	for _, p := range packages {
		seen[p.Dir] = true
		broken = append(broken, checkGuests(guests, p, used)...)
		i := slices.IndexFunc(rooms, func(r Room) bool { return r.Dir == p.Dir })
		if i < 0 {
			broken = append(broken, fmt.Sprintf("%s has no row in pkg/archtest/rooms.go: say there what it may import and why", p.Dir))
			continue
		}
		broken = append(broken, checkRoom(rooms[i], p)...)
	}
	for _, r := range rooms {
		if !seen[r.Dir] {
			broken = append(broken, fmt.Sprintf("%s has a row in pkg/archtest/rooms.go but there is no such package: remove the row", r.Dir))
		}
	}
	for _, g := range guests {
		if !used[g.Path] {
			broken = append(broken, fmt.Sprintf("nothing imports %s any more: remove its row from pkg/archtest/rooms.go", g.Path))
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

func checkRoom(r Room, p Package) []string {
	var broken []string
	for _, imported := range p.Imports {
		dir, own := strings.CutPrefix(imported, Module+"/")
		switch {
		case own && !slices.ContainsFunc(r.May, func(m string) bool { return covers(m, dir) }):
			broken = append(broken, fmt.Sprintf("%s imports %s: %s", r.Dir, dir, r.Why))
		case r.Pure && slices.ContainsFunc(impure, func(i string) bool { return below(i, imported) }):
			broken = append(broken, fmt.Sprintf("%s imports %s but is pure: %s", r.Dir, imported, r.Why))
		}
	}
	for _, imported := range p.TestImports {
		dir, own := strings.CutPrefix(imported, Module+"/")
		if own && opposite(r.Dir, dir) {
			broken = append(broken, fmt.Sprintf("a test in %s imports %s: agent and collector meet over the wire only, in pkg/systest", r.Dir, dir))
		}
	}
	return broken
}

// opposite tells whether an import joins the two sides, or makes what both
// share depend on one of them.
func opposite(from, to string) bool {
	side := func(dir string) string { first, _, _ := strings.Cut(dir, "/"); return first }
	return side(from) != side(to) && (side(to) == "agent" || side(to) == "collector")
}

func checkGuests(guests []Guest, p Package, used map[string]bool) []string {
	var broken []string
	for _, g := range guests {
		home := slices.Contains(g.Only, p.Dir)
		uses := func(imported string) bool { return below(g.Path, imported) }
		code, tests := slices.ContainsFunc(p.Imports, uses), slices.ContainsFunc(p.TestImports, uses)
		used[g.Path] = used[g.Path] || code || tests
		if !home && code {
			broken = append(broken, fmt.Sprintf("%s imports %s: %s", p.Dir, g.Path, g.Why))
		}
		if !home && tests && !g.Tests {
			broken = append(broken, fmt.Sprintf("a test in %s imports %s: %s", p.Dir, g.Path, g.Why))
		}
	}
	return broken
}

// covers tells whether a May entry stands for a folder.
func covers(entry, dir string) bool {
	if base, all := strings.CutSuffix(entry, "/..."); all {
		return below(base, dir)
	}
	return path.Clean(entry) == dir
}

func below(base, name string) bool { return name == base || strings.HasPrefix(name, base+"/") }
