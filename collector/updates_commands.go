package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/rollcall-itam/rollcall/collector/updates"
	"github.com/rollcall-itam/rollcall/pkg/release"
)

// openShelf opens the folder of updates that the settings name, nil for none.
func openShelf(s settings, log *slog.Logger) (*updates.Shelf, error) {
	if s.UpdatesDir == "" {
		return nil, nil
	}
	keys, err := release.ParseKeys(s.UpdateKeys)
	if err != nil {
		return nil, err
	}
	return updates.New(updates.Options{Dir: s.UpdatesDir, Keys: keys, Rings: s.UpdateRings, Now: time.Now, Logger: log})
}

// updatesCommands are for who releases agents; none of them needs the
// collector, and the key is best kept on another machine.
type updatesCommands struct {
	Keygen keygenCommand      `cmd:"" help:"Make a key to sign updates with, and print its public part."`
	Sign   signCommand        `cmd:"" help:"Sign the agents in a folder, so that they can be offered as updates."`
	Show   showUpdatesCommand `cmd:"" help:"Check the manifest of a folder and print it."`
}

type keygenCommand struct {
	Key string `required:"" placeholder:"FILE" help:"File that the private key is written to; it must be new."`
}

// Run makes a key.
func (c keygenCommand) Run(world outside) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	f, err := os.OpenFile(c.Key, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten: whoever trusts it would take nothing any more", c.Key)
	}
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	fmt.Fprintln(world.stdout, release.FormatKey(public))
	return nil
}

// readKey reads a private key.
func readKey(name string) (ed25519.PrivateKey, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: want a private key in PEM, as `rollcall-collector updates keygen` writes it", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: want an ed25519 key, as `rollcall-collector updates keygen` makes it", name)
	}
	return private, nil
}

type signCommand struct {
	Key     []string          `required:"" placeholder:"FILE" help:"Private key; may be repeated, for agents that trust one or the other."`
	Dir     string            `required:"" placeholder:"DIR" help:"Folder of programs named rollcall-agent_VERSION_OS_ARCH; the manifest is written there."`
	Ring    map[string]string `placeholder:"VERSION=RING" help:"Ring of a version; may be repeated. Without it a version stays in its ring, and a new one is in canary."`
	Minimum map[string]string `placeholder:"VERSION=MINIMUM" help:"Version that an agent must have for that update; may be repeated."`
	Days    int               `default:"90" help:"How many days updates may be installed for; agents run on afterwards."`
}

// Run signs what is in the folder.
func (c signCommand) Run(world outside) error {
	if c.Days < 1 || c.Days > 3650 {
		return fmt.Errorf("--days %d: want 1 to 3650", c.Days)
	}
	var private []ed25519.PrivateKey
	var texts []string
	for _, name := range c.Key {
		key, err := readKey(name)
		if err != nil {
			return err
		}
		private = append(private, key)
		texts = append(texts, release.FormatKey(key.Public().(ed25519.PublicKey)))
	}
	keys, err := release.ParseKeys(texts)
	if err != nil {
		return err
	}
	m, err := updates.Survey(c.Dir, keys, updates.Terms{Rings: c.Ring, Minimum: c.Minimum, Now: time.Now(), Life: time.Duration(c.Days) * 24 * time.Hour})
	if err != nil {
		return err
	}
	signed, err := release.Sign(m, private...)
	if err != nil {
		return err
	}
	if err := updates.Write(c.Dir, signed); err != nil {
		return err
	}
	return describeManifest(world.stdout, m)
}

type showUpdatesCommand struct {
	Dir string   `required:"" placeholder:"DIR" help:"Folder of programs with their manifest."`
	Key []string `required:"" placeholder:"ed25519:KEY" help:"Public key that the manifest must be signed with; may be repeated."`
}

// Run checks that manifest and programs are what was signed, and prints them.
func (c showUpdatesCommand) Run(world outside) error {
	keys, err := release.ParseKeys(c.Key)
	if err != nil {
		return err
	}
	_, m, err := updates.Read(filepath.Join(c.Dir, updates.ManifestName), keys)
	if err != nil {
		return err
	}
	if err := describeManifest(world.stdout, m); err != nil {
		return err
	}
	return errors.Join(updates.Check(c.Dir, m), m.Fresh(time.Now()))
}

func describeManifest(w io.Writer, m release.Manifest) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "sequence %d, issued %s, expires %s\n", m.Sequence, m.IssuedAt.Format(time.RFC3339), m.ExpiresAt.Format(time.RFC3339))
	fmt.Fprintln(t, "VERSION\tRING\tMINIMUM\tSYSTEM\tBYTES\tSHA256")
	for _, r := range m.Releases {
		for _, f := range r.Files {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Version, r.Ring, r.MinimumAgent, f.Platform(), f.Size, f.SHA256)
		}
	}
	return t.Flush()
}
