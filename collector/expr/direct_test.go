package expr

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// conditionsDirect is what goes beyond the rules that come along.
var conditionsDirect = []string{
	`asset.labels.site == "on" || !has(asset.labels.site)`, `asset.labels["site"] != "linux"`, `asset.os.family in ["linux", "macos"] ? asset.security.secure_boot : true`,
	`asset.hardware.memory_bytes > 3 && asset.hardware.memory_bytes != 7`, `asset.storage.system_free_pct < 5.5`, `asset.storage.system_free_pct >= 3`,
	`size(asset.hardware.disks) > 1 || size(record.identity_issues) == 1`, `asset.warranty.end < asset.purchase.lease_end`, `asset.warranty.end - days(3) > now`,
	`asset.name.startsWith("o") || asset.name.endsWith("x") || asset.name.contains("gen")`, `has_software("o*", "> 1") != has_software("agent")`,
	`asset.hardware.disks.exists(d, asset.storage.volumes.all(v, v.mount == d.name || d.kind in ["on", "off"]))`, `seen_by("mdm") > now - days(9)`,
	`asset.security.secure_boot == asset.mdm.enrolled`, `record.clock_skew < duration("3s") - duration("1s")`, `asset.last_seen > timestamp("2026-11-20T00:00:00Z")`,
	`record.lifetimes.all(l, has(l.end) || l.name == "on")`, `record.vulnerabilities.exists(v, v.known_exploited && v.due <= now)`, `now <= date("2026-11-24")`,
	`"agent" in kinds`, `asset.os.family == params.none`, `asset.name in params.list && !(asset.name in params.empty)`, `"on" in asset.security.remote_access`,
	`version(asset.os.version) < version("2") && true`, `has(asset.owner) && has(asset.os.family) && !has(asset.hardware.disks)`, `asset.patch.pending_count["critical"] > 1`,
}

// texts are what random assets say: what conditions ask for, days and none.
var texts = []string{"", "on", "off", "linux", "macos", "laptop", "deployed", "retired", "agent", "mdm", "edr", "purchasing", "critical", "low", "ok", "1.2", "2.0", "10",
	"2026-12-01", "2026-11-24", "9999-12-31", "0001-01-01", "2026-02-30", "root", "owner.email", "agentx", "a@example.com"}

// fill states random fields of a message.
func fill(t *rapid.T, m protoreflect.Message, depth int) {
	one := func(fd protoreflect.FieldDescriptor, fresh func() protoreflect.Value) protoreflect.Value {
		switch fd.Kind() {
		case protoreflect.StringKind:
			return protoreflect.ValueOfString(rapid.SampledFrom(texts).Draw(t, "text"))
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
		case protoreflect.Int32Kind:
			return protoreflect.ValueOfInt32(rapid.Int32Range(-1, 9).Draw(t, "int"))
		case protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(rapid.Int64Range(-1, 9).Draw(t, "int"))
		case protoreflect.DoubleKind:
			return protoreflect.ValueOfFloat64(rapid.SampledFrom([]float64{0, 3, 5.5, 90, math.NaN()}).Draw(t, "real"))
		case protoreflect.MessageKind:
			v := fresh()
			if at, ok := v.Message().Interface().(*timestamppb.Timestamp); ok {
				at.Seconds = now.Unix() + int64(rapid.SampledFrom([]int{-900, -40, -10, -1, 0, 1, 5, 89, 100, 99_999_999}).Draw(t, "days"))*24*3600
			} else if depth > 0 {
				fill(t, v.Message(), depth-1)
			}
			return v
		}
		return protoreflect.Value{}
	}
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		if rapid.IntRange(0, 3).Draw(t, "stated") == 0 {
			continue
		}
		switch {
		case fd.IsMap() && fd.MapValue().Kind() == protoreflect.StringKind:
			m.Mutable(fd).Map().Set(protoreflect.ValueOfString("site").MapKey(), one(fd.MapValue(), nil))
		case fd.IsMap():
		case fd.IsList():
			list := m.Mutable(fd).List()
			for range rapid.IntRange(0, 2).Draw(t, "length") {
				if v := one(fd, list.NewElement); v.IsValid() {
					list.Append(v)
				}
			}
		default:
			if v := one(fd, func() protoreflect.Value { return m.NewField(fd) }); v.IsValid() {
				m.Set(fd, v)
			}
		}
	}
}

// random is an asset of which anything may be stated.
func random(t *rapid.T) *Input {
	in := &Input{Now: now, Asset: new(pb.Asset)}
	fill(t, in.Asset.ProtoReflect(), 3)
	if rapid.Bool().Draw(t, "software") {
		in.Software = Rows{{Kind: "deb", Name: "Openssl", Version: rapid.SampledFrom(texts).Draw(t, "version")}, {Name: "agent"}}
	}
	if rapid.Bool().Draw(t, "record") {
		skew, at := time.Duration(rapid.IntRange(-5, 5).Draw(t, "skew"))*time.Second, now.AddDate(0, 0, rapid.IntRange(-40, 40).Draw(t, "days"))
		in.Record = &Record{ClockSkew: &skew, IdentityIssues: []string{"collision"}, LatestVersion: "1.3", LatestAt: at, DiskFullAt: Never, CertificateEnd: at,
			Lifetimes:       []*Lifetime{{Name: "on"}, {Name: "x", End: at}},
			Vulnerabilities: []*Vulnerability{{Package: "p", Fixed: "2", FixedAt: at, Severity: "critical", Due: at, Exploited: rapid.Bool().Draw(t, "exploited")}}}
	}
	if rapid.Bool().Draw(t, "kinds") {
		in.Kinds = []string{"agent", "mdm", "edr", "purchasing"}
	}
	return in
}

// builtinConditions compiles the conditions of the rules that come along.
func builtinConditions(t *testing.T, e *Env) (all []*Program) {
	t.Helper()
	files, err := filepath.Glob("../policy/rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Rules []struct {
				Applies, Require string
				Params           map[string]any
			}
		}
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		for _, r := range doc.Rules {
			params := Params{}
			for key, v := range r.Params {
				switch v := v.(type) {
				case int:
					params[key] = int64(v)
				case []any:
					list := []string{}
					for _, s := range v {
						list = append(list, fmt.Sprint(s))
					}
					params[key] = list
				default:
					params[key] = v
				}
			}
			for _, source := range []string{r.Applies, r.Require} {
				if source == "" {
					continue
				}
				p, err := e.Compile(source, params)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, p)
			}
		}
	}
	return all
}

// What is compiled to Go functions is what CEL says, with the time until which
// it holds, whatever is stated of an asset.
func TestDirectIsCEL(t *testing.T) {
	e := env(t)
	programs := builtinConditions(t, e)
	direct := 0
	for _, p := range programs {
		if p.direct != nil {
			direct++
		} else {
			t.Logf("CEL's alone: %s", p.source)
		}
	}
	if direct*10 < len(programs)*8 {
		t.Errorf("%d of %d conditions of the rules that come along are compiled to functions", direct, len(programs))
	}
	for _, source := range conditionsDirect {
		p, err := e.Compile(source, Params{"list": []string{"on", "off"}, "empty": []string{}, "none": ""})
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, p)
	}
	rapid.Check(t, func(t *rapid.T) {
		in := random(t)
		for _, p := range programs {
			same(t, p, in)
		}
	})
}

// same holds a program to what CEL says of it.
func same(t interface{ Fatalf(string, ...any) }, p *Program, in *Input) {
	if p.direct == nil {
		return
	}
	gone := *in
	gone.Asset = nil
	none, err := p.interpret(context.Background(), &gone)
	if err != nil {
		t.Fatalf("%q: %v", p.source, err)
	}
	if got, err := p.Decide(&gone); err != nil || got.Value != none.Value || !got.Next.Equal(none.Next) {
		t.Fatalf("%q is %s without an asset (%v), but CEL says %s", p.source, got.Value, err, none.Value)
	}
	want, err := p.interpret(context.Background(), in)
	if err != nil {
		t.Fatalf("%q: %v", p.source, err)
	}
	got, next := p.direct.run(in, p.frames)
	if got != want.Value || !next.Equal(want.Next) {
		t.Fatalf("%q is %s until %v, but CEL says %s until %v (%v %s) of %v", p.source, got, next, want.Value, want.Next, want.Missing, want.Reason, in.Asset)
	}
}
