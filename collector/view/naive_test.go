package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

var testNow = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// fleet is a catalog over a store in memory, followed by a view.
type fleet struct {
	store   *store.Store
	catalog *catalog.Catalog
	view    *View
	clock   time.Time
}

type failer interface {
	Helper()
	Fatal(...any)
}

func newFleet(ctx context.Context, t failer) *fleet {
	t.Helper()
	st, err := store.Open(ctx, memkv.New())
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{store: st, view: New(), clock: testNow.Add(-1000 * time.Hour)}
	f.catalog = catalog.New(st, func() time.Time { return testNow }, slog.New(slog.DiscardHandler))
	f.view.Follow(f.catalog, st)
	for _, kind := range []string{"agent", "mdm", "edr"} {
		if err := f.catalog.DeclareSource(ctx, &storagepb.SourceRecord{Id: kind, Kind: kind, Unique: true}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// answer is an asset with its software, as plain evaluation sees it.
type answer struct {
	asset    *pb.Asset
	software expr.Software
}

// all reads everything there is from the store.
func (f *fleet) all(ctx context.Context, t failer) []answer {
	t.Helper()
	var out []answer
	err := f.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			x := answer{asset: a}
			if p := a.GetProvenance()["software"]; p != nil {
				rows := expr.Rows{}
				err := tx.Software(store.Ref{Source: p.GetSource(), ID: p.GetSourceId()}, func(s *pb.Software) error {
					rows = append(rows, s)
					return nil
				})
				if err != nil {
					return err
				}
				x.software = rows
			}
			out = append(out, x)
			return f.catalog.Date(tx, a)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func oneOf(values ...string) func(*rapid.T, string) string {
	return func(t *rapid.T, label string) string { return rapid.SampledFrom(values).Draw(t, label) }
}

var (
	families = oneOf("", "linux", "windows", "macos")
	versions = oneOf("", "22.04", "14.5", "14.10", "11")
	names    = oneOf("", "ann-mbp", "web1", "db-Ünit", "WEB2")
	emails   = oneOf("", "ann@example.com", "bob@example.com")
	states   = oneOf("", "on", "off")
	days     = oneOf("", "2026-12-31", "2027-06-01", "2025-01-01", "tomorrow")
)

// device draws what a source may say, much or little.
func device(t *rapid.T) *pb.Device {
	d := &pb.Device{Name: names(t, "name"), Class: oneOf("", "laptop", "server")(t, "class")}
	if rapid.Bool().Draw(t, "os") {
		d.Os = &pb.Os{Family: families(t, "family"), Version: versions(t, "version"), Eol: days(t, "eol")}
	}
	if rapid.Bool().Draw(t, "labels") {
		d.Labels = map[string]string{"site": oneOf("berlin", "paris")(t, "site"), "x": "y"}
	}
	if rapid.Bool().Draw(t, "hardware") {
		d.Hardware = &pb.Hardware{MemoryBytes: proto.Int64(int64(rapid.IntRange(0, 3).Draw(t, "gb")) << 30)}
		if rapid.Bool().Draw(t, "disks") {
			d.Hardware.Disks = []*pb.Disk{{Name: "a", Kind: oneOf("ssd", "hdd")(t, "disk"), SizeBytes: proto.Int64(1)}, {Name: "b"}}
		}
		if rapid.Bool().Draw(t, "tpm") {
			d.Hardware.Tpm = &pb.Tpm{Present: proto.Bool(rapid.Bool().Draw(t, "present"))}
		}
	}
	if rapid.Bool().Draw(t, "security") {
		d.Security = &pb.Security{Firewall: &pb.Firewall{State: states(t, "firewall")}}
		if rapid.Bool().Draw(t, "antivirus") {
			d.Security.Antivirus = []*pb.Antivirus{{Name: "x", Enabled: proto.Bool(rapid.Bool().Draw(t, "enabled"))}}
		}
	}
	if rapid.Bool().Draw(t, "owner") {
		d.Owner = &pb.Owner{Email: emails(t, "owner email")}
		d.PrimaryUser = &pb.PrimaryUser{Email: emails(t, "user email")}
	}
	if rapid.Bool().Draw(t, "mdm") {
		d.Mdm = &pb.Mdm{Enrolled: proto.Bool(rapid.Bool().Draw(t, "enrolled"))}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "titles") {
		d.Software = append(d.Software, &pb.Software{Kind: oneOf("deb", "app")(t, "kind"), Name: oneOf("openssl", "OpenSSL", "Google Chrome", "bash")(t, "title"),
			Version: oneOf("", "1.0", "3.0.11-1", "3.0.13")(t, "title version"), Publisher: oneOf("", "GNU")(t, "publisher"),
			InstalledAt: timestamppb.New(testNow.Add(-time.Duration(i) * 100 * time.Hour))})
	}
	return d
}

// act does something to the fleet: a report of a device, silence, or an end.
func (f *fleet) act(ctx context.Context, t *rapid.T) {
	f.clock = f.clock.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "hours")) * time.Hour).Truncate(time.Second)
	n := rapid.IntRange(0, 7).Draw(t, "device")
	ref := store.Ref{Source: oneOf("agent", "mdm", "edr")(t, "source"), ID: fmt.Sprint(n)}
	switch rapid.IntRange(0, 9).Draw(t, "act") {
	case 0:
		o := &pb.Observation{Source: ref.Source, SourceId: ref.ID, ObservedAt: timestamppb.New(f.clock), Gone: true}
		if _, err := f.catalog.Accept(ctx, o); !errors.Is(err, store.ErrNotFound) {
			must(t, err)
		}
	case 1:
		f.catalog.Seen(ref, f.clock)
	default:
		d := device(t)
		if d.Hardware == nil {
			d.Hardware = &pb.Hardware{}
		}
		d.Hardware.Serial, d.Hardware.Manufacturer = fmt.Sprintf("SER%dX7Q%d", n, n), "Dell Inc."
		_, err := f.catalog.Accept(ctx, &pb.Observation{Source: ref.Source, SourceId: ref.ID, ObservedAt: timestamppb.New(f.clock),
			Subject: &pb.Observation_Device{Device: d}})
		must(t, err)
	}
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var atoms = []string{
	`true`, `asset.os.family == "linux"`, `asset.os.family != "linux"`, `asset.os.family in ["windows", "macos"]`, `"linux" == asset.os.family`,
	`asset.name.startsWith("web")`, `asset.name.endsWith("nit")`, `asset.name.contains("b")`, `asset.name.matches("^[a-z]")`, `asset.name == ""`,
	`version(asset.os.version) < version("14.9")`, `asset.os.eol < now + days(90)`, `has(asset.os.eol)`, `has(asset.os)`, `has(asset.security.antivirus)`,
	`asset.labels.site == "berlin"`, `asset.labels["x"] == "y"`, `"site" in asset.labels`, `has(asset.labels.site)`, `size(asset.labels) == 2`,
	`asset.hardware.memory_bytes >= 2 * 1024 * 1024 * 1024`, `asset.hardware.disks.exists(d, d.kind == "hdd")`, `asset.hardware.disks.all(d, d.kind == "ssd")`,
	`size(asset.hardware.disks) == 0`, `asset.security.antivirus.exists(a, a.enabled)`, `size(asset.security.antivirus) == 0`, `asset.hardware.tpm.present`,
	`asset.security.firewall.state == "on"`, `asset.mdm.enrolled`, `asset.owner.email == asset.primary_user.email`, `asset.software_count > 1`,
	`asset.mdm.enrolled ? asset.os.family == "macos" : has(asset.owner)`, `has(asset.hardware.tpm) == asset.mdm.enrolled`,
	`age(asset.last_seen) > days(10)`, `seen_by("mdm") < now - days(5)`, `known_to("edr")`, `known_to("mdm") && known_to("agent")`,
	`asset.sources.exists(s, s.kind == "mdm" && age(s.last_seen) > days(3))`, `size(asset.sources) > 1`, `size(asset.conflicts) > 0`,
	`has_software("openssl")`, `has_software("openssl", "< 3.0.13")`, `has_software("*chrome*")`, `has_software("*")`, `has_software("nothing")`,
	`software.exists(s, s.kind == "deb" && s.publisher == "GNU")`, `software.all(s, s.kind == "deb")`, `size(software) == 2`,
	`software.exists(s, s.name == asset.name)`, `software.exists(s, age(s.installed_at) > days(5))`, `software.exists(s, s.kind == "deb" && size(software) > 1)`,
	`["bash", "openssl"].exists(n, has_software(n))`, `1 / (asset.software_count - 1) > 0`, `asset.warranty.end < now`, `asset.network.hostname == asset.name`,
	`asset.hardware.disks[1].name == "b"`, `asset.name == "web1" ? true : asset.class == "server"`, `asset.first_seen < now - days(20)`,
}

// condition draws a filter.
func condition(t *rapid.T, depth int) string {
	switch k := rapid.IntRange(0, 5).Draw(t, "shape"); {
	case depth > 0 && k == 0:
		return "!(" + condition(t, depth-1) + ")"
	case depth > 0 && k == 1:
		return "(" + condition(t, depth-1) + " || " + condition(t, depth-1) + ")"
	case depth > 0 && k <= 3:
		return "(" + condition(t, depth-1) + " && " + condition(t, depth-1) + ")"
	}
	return rapid.SampledFrom(atoms).Draw(t, "atom")
}

// The view finds what plain evaluation of every stored asset finds, whatever
// the fleet, the filter and the order of changes.
func TestFilterEqualsPlainEvaluation(t *testing.T) {
	env, err := expr.New()
	must(t, err)
	rapid.Check(t, func(r *rapid.T) {
		f := newFleet(t.Context(), r)
		if rapid.Bool().Draw(r, "follow from the beginning") {
			must(r, f.view.Load(t.Context(), f.store))
		}
		for range rapid.IntRange(0, 25).Draw(r, "before") {
			f.act(t.Context(), r)
		}
		if rapid.Bool().Draw(r, "start anew") {
			f.catalog = catalog.New(f.store, func() time.Time { return testNow }, slog.New(slog.DiscardHandler))
			f.view = New()
			f.view.Follow(f.catalog, f.store)
			must(r, f.catalog.Load(t.Context()))
			must(r, f.view.Load(t.Context(), f.store))
		}
		for range rapid.IntRange(1, 4).Draw(r, "rounds") {
			for range rapid.IntRange(0, 5).Draw(r, "changes") {
				f.act(t.Context(), r)
			}
			compareFilter(t.Context(), r, f, env)
		}
	})
}

func compareFilter(ctx context.Context, r *rapid.T, f *fleet, env *expr.Env) {
	filter := condition(r, 3)
	program, err := env.Compile(filter, nil)
	must(r, err)
	var want []string
	for _, x := range f.all(ctx, r) {
		out, err := program.Eval(&expr.Input{Asset: x.asset, Software: x.software, Now: testNow})
		must(r, err)
		if out.Value == expr.True {
			want = append(want, x.asset.GetId())
		}
	}
	slices.Sort(want)
	page, err := f.view.Part(nil).List(ctx, Query{Filter: filter, Limit: 1000, Now: testNow})
	if err != nil {
		r.Fatalf("%s: %v", filter, err)
	}
	if !slices.Equal(page.IDs, want) || page.Total != len(want) {
		r.Fatalf("%s finds\n%v (%d), want\n%v", filter, page.IDs, page.Total, want)
	}
}

// Pages in any order hold every asset that was found once, in that order.
func TestPagesHoldAllInOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := newFleet(t.Context(), r)
		for range rapid.IntRange(0, 30).Draw(r, "acts") {
			f.act(t.Context(), r)
		}
		by := oneOf("", "name", "os.version", "hardware.memory_bytes", "last_seen", "first_seen", "labels.site", "mdm.enrolled", "software_count")(r, "by")
		descending := by != "" && rapid.Bool().Draw(r, "descending")
		q := Query{OrderBy: by, Limit: rapid.IntRange(1, 4).Draw(r, "limit"), Now: testNow}
		if descending {
			q.OrderBy += " desc"
		}
		var got []string
		for {
			page, err := f.view.Part(nil).List(t.Context(), q)
			must(r, err)
			got = append(got, page.IDs...)
			if q.After = page.Last; q.After == "" {
				break
			}
		}
		all := f.all(t.Context(), r)
		slices.SortFunc(all, func(a, b answer) int {
			x, y := sortValue(a.asset, by), sortValue(b.asset, by)
			d := cmp.Compare(x, y)
			if descending && x != "~" && y != "~" {
				d = -d
			}
			return cmp.Or(d, strings.Compare(a.asset.GetId(), b.asset.GetId()))
		})
		var want []string
		for _, x := range all {
			want = append(want, x.asset.GetId())
		}
		if !slices.Equal(got, want) {
			r.Fatalf("by %q: %v, want %v", q.OrderBy, got, want)
		}
	})
}

// sortValue is a text that sorts like a field; "~" where it is not stated.
func sortValue(a *pb.Asset, by string) string {
	switch {
	case by == "name" && a.GetName() != "":
		return a.GetName()
	case by == "os.version" && a.GetOs().GetVersion() != "":
		return a.GetOs().GetVersion()
	case by == "hardware.memory_bytes" && a.GetHardware() != nil && a.Hardware.MemoryBytes != nil:
		return fmt.Sprintf("%020d", a.GetHardware().GetMemoryBytes())
	case by == "last_seen" && a.GetLastSeen() != nil:
		return a.GetLastSeen().AsTime().Format(time.RFC3339)
	case by == "first_seen" && a.GetFirstSeen() != nil:
		return a.GetFirstSeen().AsTime().Format(time.RFC3339)
	case by == "labels.site" && a.GetLabels()["site"] != "":
		return a.GetLabels()["site"]
	case by == "mdm.enrolled" && a.GetMdm() != nil && a.Mdm.Enrolled != nil:
		return fmt.Sprint(a.GetMdm().GetEnrolled())
	case by == "software_count" && a.SoftwareCount != nil:
		return fmt.Sprintf("%020d", a.GetSoftwareCount())
	case by == "":
		return ""
	}
	return "~"
}
