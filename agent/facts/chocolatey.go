package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"path"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	environmentKey = systemHive + `Control\Session Manager\Environment`
	// maxNuspec bounds the description of a package, whose text can be long.
	maxNuspec = 1 << 20
)

// learnChocolatey lists the packages of Chocolatey, each a folder with its
// description. Many install a program that Windows lists for removal too.
func learnChocolatey(ctx context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	root := r.file(cmp.Or(r.key(environmentKey).text("ChocolateyInstall"), driveOf(r.systemRoot())+`\ProgramData\chocolatey`))
	if root == "" {
		return absent(r.bad.err(), "no Chocolatey on the system's drive")
	}
	lib := path.Join(root, "lib")
	packages, err := firstEntries(h.FS, lib, maxFolderPackages)
	if missing(err) {
		return absent(r.bad.err(), "no Chocolatey")
	}
	if err != nil {
		r.bad.add(fmt.Errorf("list /%s: %w", lib, err))
	}
	rows := newSoftwareRows("chocolatey")
	for _, p := range packages {
		if !p.IsDir() || len(rows.rows) >= maxFolderPackages || ctx.Err() != nil {
			continue
		}
		dir := path.Join(lib, p.Name())
		data, err := h.ReadFile(path.Join(dir, p.Name()+".nuspec"), maxNuspec)
		spec, ok := decodeNuspec(data)
		if err == nil && !ok {
			err = errors.New("no id and version in it")
		}
		if err != nil {
			r.bad.add(fmt.Errorf("package %s: %w", plainText([]byte(p.Name())), err))
			continue
		}
		row := rows.add([]byte(spec.id), []byte(spec.version))
		row.Publisher, row.ProductId = rows.share([]byte(spec.authors)), row.Name
		row.InstalledAt = modTime(h.FS, dir)
	}
	return errors.Join(r.bad.err(), rows.cut(ctx), addSoftware(d, rows.rows))
}

// nuspec is the description of a package of NuGet's kind.
type nuspec struct{ id, version, authors string }

// decodeNuspec reads the first elements of a description, which tell what a
// package is.
func decodeNuspec(data []byte) (nuspec, bool) {
	_, data, ok := bytes.Cut(data, []byte("<metadata"))
	if !ok {
		return nuspec{}, false
	}
	// What is commented out are examples of the same elements.
	for {
		before, rest, open := bytes.Cut(data, []byte("<!--"))
		if !open {
			break
		}
		_, after, closed := bytes.Cut(rest, []byte("-->"))
		data = before
		if closed {
			data = append(before[:len(before):len(before)], after...)
		}
	}
	element := func(name string) string {
		_, rest, open := bytes.Cut(data, []byte("<"+name+">"))
		value, _, closed := bytes.Cut(rest, []byte("</"+name+">"))
		if !open || !closed || len(value) > maxSoftwareText {
			return ""
		}
		return strings.TrimSpace(html.UnescapeString(string(value)))
	}
	s := nuspec{element("id"), element("version"), element("authors")}
	return s, s.id != "" && s.version != ""
}
