package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Budgets of hand-written code, in lines, parameters and methods.
const (
	MaxFileLines     = 400
	MaxFunctionLines = 60
	MaxParameters    = 5
	MaxMethods       = 5
)

// vague are names that say nothing about what a package or a file is for.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "types", "models"}

// notOurs are folders that hold no code of this repository.
var notOurs = []string{".git", ".cache", "bin", "dist", "scratch", "testdata", "node_modules"}

// Rules are the limits that CheckSource holds code to.
type Rules struct {
	// Systems are the only folders in which a file may be bound to an
	// operating system or a build tag.
	Systems []string
	// Exceptions to the budgets, with the reason: the key is a file, or a file
	// and what in it is over budget as in "collector/store/rows.go:Merge".
	Exceptions map[string]string
}

// source is one parsed file.
type source struct {
	name      string
	text      []byte
	ast       *ast.File
	fset      *token.FileSet
	generated bool
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

// CheckSource reads every Go file of tree and returns one line for each break
// of the rules on package comments, names, build tags and budgets.
func CheckSource(tree fs.FS, rules Rules) ([]string, error) {
	files, err := parseTree(tree)
	if err != nil {
		return nil, err
	}
	var broken []string
	excused := map[string]bool{}
	packages := map[string][]source{}
	for _, f := range files {
		packages[path.Dir(f.name)] = append(packages[path.Dir(f.name)], f)
		broken = append(broken, checkNames(f)...)
		if f.generated {
			continue
		}
		broken = append(broken, checkSystems(f, rules.Systems)...)
		if f.test() {
			continue
		}
		for _, over := range overBudget(f) {
			if _, ok := rules.Exceptions[over.key]; ok {
				excused[over.key] = true
				continue
			}
			broken = append(broken, over.text)
		}
	}
	for key := range rules.Exceptions {
		if !excused[key] {
			broken = append(broken, fmt.Sprintf("%s is within its budget: remove its exception", key))
		}
	}
	for dir, files := range packages {
		broken = append(broken, checkComment(dir, files)...)
	}
	slices.Sort(broken)
	return broken, nil
}

func parseTree(tree fs.FS) ([]source, error) {
	var files []source
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(notOurs, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, source{name: name, text: text, ast: parsed, fset: fset, generated: ast.IsGenerated(parsed)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	return files, nil
}

// checkComment looks at what the package says of itself.
func checkComment(dir string, files []source) []string {
	want, text, where := "", "", []string{}
	for _, f := range files {
		if f.test() || f.generated {
			continue
		}
		want = "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command "
		}
		if f.ast.Doc != nil {
			text = f.ast.Doc.Text()
			where = append(where, f.name)
		}
	}
	sentence := new(doc.Package).Synopsis(text)
	switch {
	case want == "":
		return nil
	case len(where) == 0:
		return []string{fmt.Sprintf("%s has no package comment: begin one with %q and say its one job", dir, want)}
	case len(where) > 1:
		return []string{fmt.Sprintf("%s has package comments in %s: keep one", dir, strings.Join(where, " and "))}
	case !strings.HasPrefix(text, want):
		return []string{fmt.Sprintf("%s: the package comment does not begin with %q", where[0], want)}
	case !strings.HasSuffix(sentence, "."):
		return []string{fmt.Sprintf("%s: the package comment does not begin with a whole sentence", where[0])}
	}
	return nil
}

func checkNames(f source) []string {
	var broken []string
	stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.name), ".go"), "_test")
	for _, word := range append(strings.Split(path.Dir(f.name), "/"), stem) {
		if slices.Contains(vague, word) {
			broken = append(broken, fmt.Sprintf("%s: the name %q says nothing about what is in it", f.name, word))
		}
	}
	return broken
}

// checkSystems looks for what binds a file to an operating system: a
// _<goos> or _<goarch> name, or a build tag.
func checkSystems(f source, allowed []string) []string {
	if slices.Contains(allowed, path.Dir(f.name)) {
		return nil
	}
	// For a system that does not exist, only a file that is bound to none is
	// built; so no list of systems has to be kept here.
	nowhere := build.Context{GOOS: "none", GOARCH: "none", Compiler: "gc"}
	nowhere.OpenFile = func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("package x\n")), nil
	}
	if match, err := nowhere.MatchFile(".", path.Base(f.name)); err != nil || !match {
		return []string{fmt.Sprintf("%s: only %s may be bound to an operating system: rename it, or move what touches the machine there",
			f.name, strings.Join(allowed, " and "))}
	}
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			if group.Pos() < f.ast.Package && constraint.IsGoBuild(c.Text) {
				return []string{fmt.Sprintf("%s: build tag %q outside %s: move what touches the machine there",
					f.name, c.Text, strings.Join(allowed, " and "))}
			}
		}
	}
	return nil
}

// excess is something over budget: its key in the exceptions, and what to say.
type excess struct{ key, text string }

func overBudget(f source) []excess {
	var over []excess
	add := func(name, what string, is, most int) {
		if is > most {
			key := strings.TrimSuffix(f.name+":"+name, ":")
			over = append(over, excess{key, fmt.Sprintf("%s has %d %s, more than %d: split it", key, is, what, most)})
		}
	}
	add("", "lines", bytes.Count(f.text, []byte("\n")), MaxFileLines)
	for _, decl := range f.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		add(funcName(fn), "lines", f.line(fn.End())-f.line(fn.Pos())+1, MaxFunctionLines)
		add(funcName(fn), "parameters", fn.Type.Params.NumFields(), MaxParameters)
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if i, ok := spec.Type.(*ast.InterfaceType); ok {
				add(spec.Name.Name, "methods", i.Methods.NumFields(), MaxMethods)
			}
		}
		return true
	})
	return over
}

// funcName names a function as its documentation does: Open, or DB.Close.
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv.NumFields() == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}
