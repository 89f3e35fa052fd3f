package host

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// node is what a capture says of one name of the machine's file system, in
// files.json. A name that is not there exists if its content is under files/,
// or if something below it exists.
type node struct {
	// Info is what the name leads to, LinkInfo what it is where it is a link.
	Info     *info `json:"info,omitempty"`
	LinkInfo *info `json:"link_info,omitempty"`
	// Link is where a symbolic link leads, as it is written in it.
	Link string `json:"link,omitempty"`
	// Entries are those of a folder that was listed, each after the letter of
	// its type as in the mode that ls prints: -file, ddir, llink.
	Entries []string `json:"entries,omitempty"`
	// Parts are the offsets and lengths of the file that the content under
	// files/ consists of, where that is not the whole.
	Parts [][2]int64 `json:"parts,omitempty"`
	// Failures are the errors of stat, lstat, open, read, readdir and readlink.
	Failures map[string]failure `json:"failures,omitempty"`

	// stored is the name of the content under files/, empty where there is none.
	stored string
	// below are the entries that the capture knows of.
	below map[string]fs.FileMode
}

// info is what stat tells of a file.
type info struct {
	// Mode is as ls prints it: -rw-r--r--. Only the type and the permissions
	// are kept.
	Mode     string    `json:"mode"`
	Size     int64     `json:"size,omitempty"`
	Modified time.Time `json:"modified"`
}

// typeLetters are the types of files by the letter that ls prints.
var typeLetters = []struct {
	letter byte
	mode   fs.FileMode
}{
	{'-', 0}, {'d', fs.ModeDir}, {'l', fs.ModeSymlink}, {'p', fs.ModeNamedPipe}, {'s', fs.ModeSocket},
	{'c', fs.ModeDevice | fs.ModeCharDevice}, {'b', fs.ModeDevice}, {'?', fs.ModeIrregular},
}

// failedFile returns the error of an operation on a file as it is kept.
func failedFile(op, name string, err error) failure {
	var pe *fs.PathError
	if !errors.As(err, &pe) || pe != err {
		return failed(err)
	}
	f := failed(pe.Err)
	if pe.Op != op {
		f.Op = pe.Op
	}
	if pe.Path != name {
		f.Path = pe.Path
	}
	return f
}

// fileErr returns the error of an operation on a file that was kept.
func (f failure) fileErr(op, name string) error {
	if f.Op != "" {
		op = f.Op
	}
	if f.Path != "" {
		name = f.Path
	}
	return &fs.PathError{Op: op, Path: name, Err: f.err()}
}

func typeLetter(mode fs.FileMode) byte {
	for _, t := range typeLetters {
		if mode.Type() == t.mode {
			return t.letter
		}
	}
	return '?'
}

func typeOf(letter byte) fs.FileMode {
	for _, t := range typeLetters {
		if t.letter == letter {
			return t.mode
		}
	}
	return fs.ModeIrregular
}

// check tells what in a node cannot be.
func (n *node) check() error {
	var end int64
	for _, p := range n.Parts {
		if p[0] < end || p[1] <= 0 || p[0]+p[1] < p[0] {
			return errors.New("its parts overlap or are no parts")
		}
		end = p[0] + p[1]
	}
	for _, e := range n.Entries {
		if len(e) < 2 || strings.Contains(e, "/") || e[1:] == "." || e[1:] == ".." {
			return fmt.Errorf("it has the entry %.100q", e)
		}
	}
	return nil
}

func newInfo(i fs.FileInfo) *info {
	out := &info{Mode: string(typeLetter(i.Mode())) + i.Mode().Perm().String()[1:], Modified: i.ModTime().UTC()}
	if i.Mode().IsRegular() {
		out.Size = i.Size()
	}
	return out
}

// mode returns the mode that is kept; what cannot be read has no permissions.
func (i *info) mode() fs.FileMode {
	if i.Mode == "" {
		return 0
	}
	mode := typeOf(i.Mode[0])
	for n, letter := range i.Mode[1:] {
		if n < 9 && letter != '-' {
			mode |= 1 << (8 - n)
		}
	}
	return mode
}

// named is an info with the name of its file.
type named struct {
	*info
	name string
}

func (n named) Name() string       { return n.name }
func (n named) Size() int64        { return n.info.Size }
func (n named) Mode() fs.FileMode  { return n.mode() }
func (n named) ModTime() time.Time { return n.Modified }
func (n named) IsDir() bool        { return n.mode().IsDir() }
func (n named) Sys() any           { return nil }

// plainPunctuation is what names of stored files may have beside letters and
// digits: every file system, git and Go's module archives take it.
const plainPunctuation = " !#$&()+,-.=@[]^_{}~/"

// reservedNames cannot be names of files on Windows, whatever follows a dot.
var reservedNames = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}

// storedName returns the name under which a file of the machine is stored: each
// byte that some file system refuses is written as %XX.
func storedName(name string) string {
	elements := strings.Split(name, "/")
	for i, e := range elements {
		var b strings.Builder
		for n := range len(e) {
			c := e[n]
			plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(plainPunctuation, c) >= 0
			atEnd := n == len(e)-1 && (c == '.' || c == ' ')
			if plain && !atEnd && !(n == 0 && reserved(e)) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		elements[i] = b.String()
	}
	return strings.Join(elements, "/")
}

func reserved(element string) bool {
	base, _, _ := strings.Cut(strings.ToLower(element), ".")
	return reservedNames[base] || len(base) == 4 && (base[:3] == "com" || base[:3] == "lpt") && base[3] >= '0' && base[3] <= '9'
}

// originalName returns the name that a stored one stands for.
func originalName(stored string) (string, error) {
	if !strings.Contains(stored, "%") {
		return stored, nil
	}
	var b strings.Builder
	for rest := stored; rest != ""; {
		if rest[0] != '%' {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if len(rest) < 3 {
			return "", fmt.Errorf("the name %.100q ends in half a code", stored)
		}
		c, err := strconv.ParseUint(rest[1:3], 16, 8)
		if err != nil || c == 0 || c == '/' {
			return "", fmt.Errorf("the name %.100q has a code that stands for nothing", stored)
		}
		b.WriteByte(byte(c))
		rest = rest[3:]
	}
	name := b.String()
	if !fs.ValidPath(name) {
		return "", fmt.Errorf("the name %.100q stands for none of a file", stored)
	}
	return name, nil
}

// escapeCase returns another stored name for the same file: with the code of
// the last letter that is not written as one.
func escapeCase(stored string) string {
	for i := len(stored) - 1; i >= 0; i-- {
		c := stored[i]
		coded := i >= 1 && stored[i-1] == '%' || i >= 2 && stored[i-2] == '%'
		if (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') && !coded {
			return fmt.Sprintf("%s%%%02X%s", stored[:i], c, stored[i+1:])
		}
	}
	return stored
}
