package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

// feedsCommands help who connects a system or writes a manifest.
type feedsCommands struct {
	List   feedsListCommand   `cmd:"" help:"List the systems that are known."`
	Show   feedsShowCommand   `cmd:"" help:"Print the manifest of a known system."`
	New    feedsNewCommand    `cmd:"" help:"Begin a manifest for a system that is not known."`
	Test   feedsTestCommand   `cmd:"" help:"Check a manifest and run its tests."`
	Try    feedsTryCommand    `cmd:"" help:"Ask a system for a few records and show what would come of them; nothing is stored."`
	Schema feedsSchemaCommand `cmd:"" help:"Print the JSON Schema of manifests, for editors."`
	Rotate feedsRotateCommand `cmd:"" name:"rotate-key" help:"Seal the secrets of feeds with a new key; the collector must be stopped."`
}

type feedsListCommand struct{}

// Run lists the known systems.
func (feedsListCommand) Run(world outside) error {
	for _, name := range vendors.Names() {
		m, err := vendors.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(world.stdout, "%-20s %-11s %s\n", name, m.Kind, m.Title)
	}
	return nil
}

type feedsShowCommand struct {
	Name string `arg:"" help:"Name of a known system."`
}

// Run prints a manifest.
func (c feedsShowCommand) Run(world outside) error {
	b, err := vendors.Source(c.Name)
	if err != nil {
		return err
	}
	_, err = world.stdout.Write(b)
	return err
}

type feedsNewCommand struct {
	Name string `arg:"" help:"Short name of the system: lower-case letters, digits and _."`
	From string `placeholder:"SYSTEM" help:"Begin with the manifest of a known system."`
}

// Run writes NAME.yaml.
func (c feedsNewCommand) Run(world outside) error {
	text := []byte(vendors.New(c.Name))
	if c.From != "" {
		source, err := vendors.Source(c.From)
		if err != nil {
			return err
		}
		text = []byte(strings.Replace(string(source), "\nname: "+c.From+"\n", "\nname: "+c.Name+"\n", 1))
	}
	if _, err := manifest.Parse(strings.NewReader(string(text))); err != nil {
		return fmt.Errorf("the name %q makes no manifest: %w", c.Name, err)
	}
	file := c.Name + ".yaml"
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: choose another name, or move it away", file)
	}
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	fmt.Fprintf(world.stdout, "%s is written: fill it in, then run: rollcall-collector feeds test %s\n", file, file)
	return nil
}

// isFile tells whether a name is that of a file rather than of a known system.
func isFile(name string) bool { return strings.ContainsAny(name, `./\`) }

// openManifest reads a manifest from a file, or that of a known system.
func openManifest(name string) (*manifest.Manifest, error) {
	if !isFile(name) {
		return vendors.Load(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	defer f.Close()
	m, err := manifest.Parse(f)
	if err != nil {
		// Editors and terminals follow file:line:column.
		return nil, errors.New(name + ":" + strings.ReplaceAll(err.Error(), "\n", "\n"+name+":"))
	}
	return m, nil
}

type feedsTestCommand struct {
	Manifest string `arg:"" placeholder:"FILE" help:"File of the manifest, with a dot or slash in its name, or a known system."`
}

// Run checks a manifest. What was recorded of known systems is in the source of
// the program alone, and so are the tests that need it.
func (c feedsTestCommand) Run(world outside) error {
	m, err := openManifest(c.Manifest)
	if err != nil {
		return err
	}
	if err := feed.CheckMappings(m); err != nil {
		return errors.New(c.Manifest + ":" + strings.ReplaceAll(err.Error(), "\n", "\n"+c.Manifest+":"))
	}
	tested := *m
	if !isFile(c.Manifest) {
		tested.Tests = slices.DeleteFunc(slices.Clone(m.Tests), func(t manifest.Test) bool { return t.Exchanges != "" })
	}
	outcomes, err := feed.RunTests(context.Background(), &tested, os.DirFS(filepath.Dir(c.Manifest)))
	if err != nil {
		return err
	}
	for _, t := range m.Tests {
		if !isFile(c.Manifest) && t.Exchanges != "" {
			fmt.Fprintf(world.stdout, "not run %s: what was recorded for it is not in the program\n", t.Name)
		}
	}
	failed := 0
	for _, o := range outcomes {
		if len(o.Differences) == 0 {
			fmt.Fprintln(world.stdout, "ok    ", o.Name)
			continue
		}
		failed++
		fmt.Fprintln(world.stdout, "FAILED", o.Name)
		for _, d := range o.Differences {
			fmt.Fprintln(world.stdout, "       ", d)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d tests failed", failed, len(outcomes))
	}
	fmt.Fprintf(world.stdout, "the manifest is sound; %d tests passed\n", len(outcomes))
	return nil
}

type feedsSchemaCommand struct{}

// Run prints the schema.
func (feedsSchemaCommand) Run(world outside) error {
	b, err := manifest.JSONSchema()
	if err != nil {
		return err
	}
	_, err = world.stdout.Write(b)
	return err
}
