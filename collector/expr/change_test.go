package expr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// TestNextHolds draws conditions on times and checks that their value is the
// same at every moment before Next.
func TestNextHolds(t *testing.T) {
	e := env(t)
	times := []string{"asset.last_seen", "asset.first_seen", "asset.warranty.end", "asset.mdm.last_check_in", "seen_by(\"mdm\")", `date("2026-11-20")`}
	rapid.Check(t, func(t *rapid.T) {
		var condition func(depth int) string
		condition = func(depth int) string {
			x, n := rapid.SampledFrom(times).Draw(t, "time"), rapid.IntRange(-3, 40).Draw(t, "days")
			op := rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "op")
			switch k := rapid.IntRange(0, 8).Draw(t, "kind"); {
			case k == 0 && depth > 0:
				return "!(" + condition(depth-1) + ")"
			case k == 1 && depth > 0:
				return "(" + condition(depth-1) + " || " + condition(depth-1) + ")"
			case k == 2 && depth > 0:
				return "(" + condition(depth-1) + " && " + condition(depth-1) + ")"
			case k == 3 && depth > 0:
				return "(" + condition(depth-1) + " ? " + condition(depth-1) + " : " + condition(depth-1) + ")"
			case k == 4:
				return fmt.Sprintf("age(%s) %s days(%d)", x, op, n)
			case k == 5:
				return fmt.Sprintf("%s %s now + days(%d)", x, op, n)
			case k == 6:
				return fmt.Sprintf("%s - now - days(1) %s days(%d)", x, op, n)
			case k == 7:
				return fmt.Sprintf("asset.patch.pending.exists(p, age(p.published_at) %s days(%d))", op, n)
			}
			return fmt.Sprintf("now - days(%d) %s %s", n, op, x)
		}
		source := condition(3)
		p, err := e.Compile(source, nil)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		moment := func(name string) *timestamppb.Timestamp {
			if rapid.IntRange(0, 4).Draw(t, name+" known") == 0 {
				return nil
			}
			return timestamppb.New(now.Add(time.Duration(rapid.IntRange(-960, 960).Draw(t, name)) * time.Hour))
		}
		asset := &pb.Asset{FirstSeen: moment("first"), LastSeen: moment("last"), Mdm: &pb.Mdm{LastCheckIn: moment("check")},
			Warranty: &pb.Warranty{End: "2026-12-15"}, Sources: []*pb.AssetSource{{Kind: "mdm", LastSeen: moment("mdm")}},
			Patch: &pb.Patch{Pending: []*pb.PendingUpdate{{PublishedAt: moment("a")}, {PublishedAt: moment("b")}}}}
		eval := func(at time.Time) Outcome {
			out, err := p.Eval(&Input{Asset: asset, Now: at})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		at := now.AddDate(0, -3, 0)
		for range 200 {
			out := eval(at)
			if out.Next.IsZero() {
				if later := eval(at.AddDate(5, 0, 0)); later.Value != out.Value {
					t.Fatalf("%s: %v at %v without a next change, but %v later", source, out.Value, at, later.Value)
				}
				return
			}
			if !out.Next.After(at) {
				t.Fatalf("%s at %v: the next change %v is not later", source, at, out.Next)
			}
			for _, before := range []time.Time{out.Next.Add(-1), at.Add(out.Next.Sub(at) / 2)} {
				if v := eval(before); v.Value != out.Value {
					t.Fatalf("%s: %v at %v, %v at %v, but the next change is at %v", source, out.Value, at, v.Value, before, out.Next)
				}
			}
			at = out.Next
		}
		t.Fatalf("%s goes on changing", source)
	})
}

func TestParams(t *testing.T) {
	e := env(t)
	params := Params{"days": int64(30), "span": 48 * time.Hour, "names": []string{"ann", "ANN-MBP"}, "none": []string{}, "on": true, "share": 9.9, "text": "mac"}
	for source, want := range map[string]Value{
		`age(asset.last_seen) > days(params.days)`:                  True,
		`age(asset.last_seen) > params.span`:                        True,
		`asset.name in params.names`:                                True,
		`asset.name in params.none`:                                 False,
		`params.on && asset.storage.system_free_pct < params.share`: True,
		`asset.os.family.startsWith(params.text)`:                   True,
	} {
		p, err := e.Compile(source, params)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if out, err := p.Eval(laptop()); err != nil || out.Value != want {
			t.Errorf("%s: %+v, %v", source, out, err)
		}
	}
	if _, err := e.Compile(`params.dayz > 1`, params); err == nil || !strings.Contains(err.Error(), "days") {
		t.Errorf("unknown parameter: %v", err)
	}
	if _, err := e.Compile(`asset.name == params.days`, params); err == nil || !strings.Contains(err.Error(), "cannot be applied") {
		t.Errorf("parameter of another type: %v", err)
	}
}

func TestTexts(t *testing.T) {
	e := env(t)
	p, err := e.CompileText(`record.lifetimes.filter(l, has(l.end) && now >= l.end).map(l, l.name)`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.Eval(laptop()); err != nil || len(out.Texts) != 1 || out.Texts[0] != "python3.8" {
		t.Errorf("%+v, %v", out, err)
	}
	if p, err = e.CompileText(`asset.os.family + " " + asset.os.version`, nil); err != nil {
		t.Fatal(err)
	}
	if out, _ := p.Eval(laptop()); len(out.Texts) != 1 || out.Texts[0] != "macos 14.10.1" {
		t.Errorf("%+v", out)
	}
}

// TestLimits holds an expression to its cost on an asset with much software.
func TestLimits(t *testing.T) {
	e := env(t)
	in := laptop()
	rows := make(Rows, 20_000)
	for i := range rows {
		rows[i] = &pb.Software{Name: fmt.Sprint("title ", i), Kind: "deb", Version: "1"}
	}
	in.Software = rows
	p, err := e.Compile(`software.map(s, s.name + s.version).exists(s, s.matches("a.*b") || s.contains("zzz"))`, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.EvalContext(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	for len(rows) < 1_000_000 {
		rows = append(rows, rows...)
	}
	in.Software = rows
	if _, err := p.Eval(in); !errors.Is(err, ErrLimit) {
		t.Errorf("over the limit: %v", err)
	}
}

func TestCompareVersions(t *testing.T) {
	rising := []string{"0.9", "1.0-alpha", "1.0-beta2", "1.0-rc1", "1.0", "1.0.1", "1.0.9", "1.0.10", "1.1", "2", "10.0.19045.1", "10.0.22631.4037", "10.0.22631.10000"}
	for i, a := range rising {
		for j, b := range rising {
			if d := compareVersions(a, b); (d < 0) != (i < j) || (d > 0) != (i > j) {
				t.Errorf("%s against %s: %d", a, b, d)
			}
		}
	}
	for _, pair := range [][2]string{{"1.0", "1"}, {"v1.2", "1.2.0"}, {"1_2", "1.2"}, {"01.2", "1.2"}, {"", "0"}, {"1.0 RC1", "1.0rc1"}} {
		if d := compareVersions(pair[0], pair[1]); d != 0 {
			t.Errorf("%s against %s: %d", pair[0], pair[1], d)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringMatching(`[0-9av.\-]{0,8}`)
		a, b, c := v.Draw(t, "a"), v.Draw(t, "b"), v.Draw(t, "c")
		if compareVersions(a, b) != 0 && (compareVersions(a, b) < 0) == (compareVersions(b, a) < 0) {
			t.Fatalf("%q and %q are each less", a, b)
		}
		if compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0 && compareVersions(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q but not the first and the last", a, b, c)
		}
	})
}

// FuzzCompile checks that no text makes the compiler or an evaluation fail
// otherwise than with an Error or an outcome.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{`asset.os.family == "x"`, `age(asset.last_seen) > days(1)`, `has_software("a*", "< 1 >= 2")`, `params.a`, `[1][asset.id]`,
		`asset.warranty.end - now < days(3) + age(asset.first_seen)`, `software.all(s, s.name == "x")`, `{"a": now}.a > now`, `has(asset.os)`} {
		f.Add(s)
	}
	e, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := e.Compile(source, Params{"a": true})
		if err != nil {
			var failure *Error
			if !errors.As(err, &failure) || failure.Line < 1 || failure.Column < 1 || failure.Message == "" {
				t.Fatalf("%q: %#v", source, err)
			}
			return
		}
		same(t, p, laptop())
		if _, err := p.Eval(laptop()); err != nil && !errors.Is(err, ErrLimit) {
			t.Fatalf("%q: %v", source, err)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	e := env(b)
	for name, source := range map[string]string{
		"field":   `asset.os.family == "macos"`,
		"two":     `asset.os.family == "macos" && !asset.mdm.enrolled`,
		"age":     `age(asset.last_seen) > days(30)`,
		"walk":    `asset.patch.pending.exists(p, p.severity == "critical" && age(p.published_at) > days(7))`,
		"has":     `has_software("openssl", "< 3.0.13")`,
		"unknown": `asset.owner.email == "x"`,
	} {
		b.Run(name, func(b *testing.B) {
			p, err := e.Compile(source, nil)
			if err != nil {
				b.Fatal(err)
			}
			in := laptop()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.Compile(`asset.os.family == "macos" && age(asset.last_seen) > days(30)`, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
