package diagnose

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxPart bounds one part of a bundle, in bytes.
const maxPart = 8 << 20

// Part is one file of a bundle.
type Part struct {
	// Name in the archive; About says to people what it holds.
	Name, About string
	// Binary parts are profiles: they hold addresses and names of functions, and
	// nothing is looked for in them.
	Binary bool
	// Write makes its content.
	Write func(io.Writer) error
}

// manifest is the part that lists the others.
const manifest = "MANIFEST.txt"

// Written is what became of a part.
type Written struct {
	Part
	Bytes int
	// Err is why it is not there, or not whole.
	Err error
}

// WriteBundle writes parts into a zip archive, texts without what is secret and
// with a list of all before them. A part that cannot be made says why in its
// place: who needs help has something that does not work.
func WriteBundle(w io.Writer, m *Masker, at time.Time, parts []Part) ([]Written, error) {
	z := zip.NewWriter(w)
	var all []Written
	for _, p := range parts {
		content, err := p.content(m)
		if err := add(z, p.Name, at, content); err != nil {
			return nil, err
		}
		all = append(all, Written{Part: p, Bytes: len(content), Err: err})
	}
	list := new(bytes.Buffer)
	fmt.Fprintf(list, "Support bundle of a Rollcall collector, %s\n\n", at.UTC().Format(time.RFC3339))
	List(list, all)
	fmt.Fprint(list, "\n", masked)
	if err := add(z, manifest, at, list.Bytes()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write the bundle: %w", err)
	}
	return all, nil
}

const masked = `Masked: secrets, tokens and keys; names and addresses of people; names, serial numbers, ids and addresses of
devices. (name-1a2b3c) and the like stand for one value wherever they occur. Addresses of systems that feeds and
notifications reach, file names and the names of feeds and rules are in it. Look through it before you send it.
`

func (p Part) content(m *Masker) ([]byte, error) {
	made := new(bounded)
	err := p.Write(made)
	if p.Binary {
		if err != nil {
			return nil, err
		}
		return made.buffer.Bytes(), nil
	}
	text := m.Text(made.buffer.String())
	if err != nil {
		err = errors.New(m.Text(err.Error()))
		if text != "" {
			text += "\n"
		}
		text += fmt.Sprintf("NOT WHOLE: %v\n", err)
	}
	return []byte(text), err
}

func add(z *zip.Writer, name string, at time.Time, content []byte) error {
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err == nil {
		_, err = f.Write(content)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// List tells people what is in a bundle.
func List(w io.Writer, parts []Written) {
	for _, p := range parts {
		fmt.Fprintf(w, "%-20s %9d  %s\n", p.Name, p.Bytes, p.About)
		if p.Err != nil {
			fmt.Fprintf(w, "%-20s            NOT WHOLE: %v\n", "", p.Err)
		}
	}
}

// bounded takes no more than maxPart.
type bounded struct{ buffer bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if room := maxPart - b.buffer.Len(); len(p) > room {
		n, _ := b.buffer.Write(p[:max(room, 0)]) // into memory
		return n, errors.New("it is longer than a bundle takes")
	}
	return b.buffer.Write(p)
}
