// Package archtest keeps the shape of this repository: which package may
// import which, where the operating system may be touched, how big a file may
// grow, and under which licences the modules we build on stand.
//
// The rules are data (rooms.go); the checks take their input as values, so that
// each is also tried on small inputs that must fail.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Module is the import path of the repository.
const Module = "github.com/rollcall-itam/rollcall"

// systems are the GOOS values that the agent and the packages both sides share
// are built for: an import that exists on one of them only still counts.
var systems = []string{"linux", "darwin", "windows"}

// Package is what the checks need to know of one package of this module.
type Package struct {
	// Dir is the folder below the root of the module, "." for the root itself.
	Dir string
	// Imports are the paths imported by its code, TestImports those imported
	// by its tests only; both over all systems.
	Imports, TestImports []string
}

// Root returns the folder of the module that dir lies in.
func Root(dir string) (string, error) {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("look for go.mod: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod in this folder or any above it: run from inside the repository")
		}
		dir = parent
	}
}

// Packages asks the go command for every package below root.
func Packages(root string) ([]Package, error) {
	found := map[string]*Package{}
	var order []string
	for _, goos := range systems {
		out, err := goList(root, goos, "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
		if err != nil {
			return nil, err
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); ; {
			var raw struct {
				ImportPath                         string
				Imports, TestImports, XTestImports []string
			}
			if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read the answer of go list for %s: %w", goos, err)
			}
			dir := path.Clean(strings.TrimPrefix(strings.TrimPrefix(raw.ImportPath, Module), "/"))
			have, ok := found[dir]
			if !ok {
				have = &Package{Dir: dir}
				found[dir] = have
				order = append(order, dir)
			}
			have.Imports = append(have.Imports, raw.Imports...)
			have.TestImports = append(append(have.TestImports, raw.TestImports...), raw.XTestImports...)
		}
	}
	out := make([]Package, 0, len(order))
	for _, dir := range order {
		out = append(out, *found[dir])
	}
	return out, nil
}

// goList runs go list for one operating system in the folder of the module.
func goList(root, goos string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w: %s", goos, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
