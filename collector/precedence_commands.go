package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// precedenceCommands help who changes whom to believe.
type precedenceCommands struct {
	Check precedenceCheckCommand `cmd:"" help:"Tell which assets the configured precedence would alter, and change nothing; the collector must be stopped."`
}

type precedenceCheckCommand struct {
	configFlags
	Show int `default:"20" placeholder:"N" help:"How many of the assets to show; 0 for all."`
}

// Run compares what is stored with what the configured table would make of it.
func (c precedenceCheckCommand) Run(world outside) error {
	if c.Show < 0 {
		return fmt.Errorf("--show %d: want 0 (for all) or more", c.Show)
	}
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, cat, err := openCatalog(ctx, s, newLogger(world.stderr, s))
	if err != nil {
		return fmt.Errorf("%w (the store is read as it lies on the disk: stop the collector first, or name a copy of its data folder with --data-dir)", err)
	}
	report := precedenceReport{world: world, show: c.Show, fields: make(map[string]int)}
	looked, err := cat.Preview(ctx, report.add)
	if err == nil {
		err = report.unknownSources(ctx, cat, s)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	report.end(looked)
	return nil
}

// precedenceReport tells people what a table would alter.
type precedenceReport struct {
	world            outside
	show             int
	altered, credits int
	fields           map[string]int
}

func (r *precedenceReport) add(a catalog.Alteration) error {
	if len(a.Fields) == 0 {
		r.credits++
		return nil
	}
	r.altered++
	for _, f := range a.Fields {
		r.fields[f.Field]++
	}
	if r.show > 0 && r.altered > r.show {
		return nil
	}
	out := r.world.stdout
	fmt.Fprintf(out, "%s  %s\n", a.Asset.GetId(), shown(a.Asset))
	for _, f := range a.Fields {
		_, err := fmt.Fprintf(out, "  %s: %s -> %s\n", f.Field, credit(f.Old, f.From), credit(f.New, f.Into))
		if err != nil {
			return fmt.Errorf("print the difference: %w", err)
		}
	}
	return nil
}

// shown is what people call an asset, with nothing in it that a terminal obeys.
func shown(a *pb.Asset) string { return strings.Trim(fmt.Sprintf("%q", a.GetName()), `"`) }

// maxShown bounds a value that is printed.
const maxShown = 120

func credit(v *structpb.Value, from string) string {
	text := "nothing"
	if _, null := v.GetKind().(*structpb.Value_NullValue); !null {
		b, err := protojson.MarshalOptions{}.Marshal(v)
		if err != nil {
			b = []byte("?")
		}
		if text = string(b); len(text) > maxShown {
			text = strings.ToValidUTF8(text[:maxShown], "") + "..."
		}
	}
	if from == "" {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, from)
}

// unknownSources warns of single sources that nobody declared.
func (r *precedenceReport) unknownSources(ctx context.Context, cat *catalog.Catalog, s settings) error {
	table, err := s.Precedence.table()
	if err != nil {
		return err
	}
	declared, err := cat.Sources(ctx)
	if err != nil {
		return err
	}
	for _, name := range table.Sources() {
		if !slices.Contains(declared, name) {
			fmt.Fprintf(r.world.stderr, "rollcall-collector: precedence names source:%s, and there is no such source (there are: %s)\n", name, strings.Join(declared, ", "))
		}
	}
	return nil
}

func (r *precedenceReport) end(looked int) {
	out := r.world.stdout
	if r.show > 0 && r.altered > r.show {
		fmt.Fprintf(out, "... and %d more; --show 0 shows all\n", r.altered-r.show)
	}
	fmt.Fprintf(out, "%d of %d assets would be altered; %d more would keep their values and name other sources\n", r.altered, looked, r.credits)
	names := make([]string, 0, len(r.fields))
	for name := range r.fields {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if r.fields[a] != r.fields[b] {
			return r.fields[b] - r.fields[a]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		fmt.Fprintf(out, "%8d  %s\n", r.fields[name], name)
	}
	fmt.Fprintln(out, "nothing was changed: the collector applies the table when it starts with this configuration")
}
