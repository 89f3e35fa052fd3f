package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expr"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func environment(t testing.TB) *expr.Env {
	t.Helper()
	env, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func builtinFiles(t testing.TB) []*File {
	t.Helper()
	files, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func builtinPack(t testing.TB) *Pack {
	t.Helper()
	pack, problems := Build(environment(t), builtinFiles(t)...)
	for _, p := range problems {
		t.Error(p)
	}
	return pack
}

func TestBuiltinIsComplete(t *testing.T) {
	rules := builtinPack(t).Rules()
	if len(rules) < 40 {
		t.Errorf("%d rules", len(rules))
	}
	for _, r := range rules {
		wants := map[Result]bool{}
		for _, e := range r.Examples {
			wants[e.Want] = true
			if e.Name == "" {
				t.Errorf("%s: an example has no name", r.ID)
			}
		}
		// An owner is missing where nobody names one: there the unknown lies in
		// whether the rule applies.
		for _, want := range []Result{Pass, Fail, Unknown} {
			if !wants[want] {
				t.Errorf("%s has no example that is %s", r.ID, want)
			}
		}
		if r.Description == "" || len(r.References) == 0 {
			t.Errorf("%s lacks a description or references", r.ID)
		}
	}
}

// TestMutants changes each rule in ways that matter and expects its examples to
// notice.
func TestMutants(t *testing.T) {
	env := environment(t)
	for _, f := range builtinFiles(t) {
		for _, r := range f.Rules {
			for name, mutate := range map[string]func(*Rule){
				"require negated":  func(m *Rule) { m.Require = "!(" + r.Require + ")" },
				"require true":     func(m *Rule) { m.Require = "true" },
				"require false":    func(m *Rule) { m.Require = "false" },
				"applies negated":  func(m *Rule) { m.Applies = "!(" + r.Applies + ")" },
				"applies to none":  func(m *Rule) { m.Applies = "false" },
				"needs left out":   func(m *Rule) { m.Needs = nil },
				"numbers exceeded": func(m *Rule) { m.Params = shifted(r.Params) },
			} {
				if name == "applies negated" && r.Applies == "" || name == "needs left out" && !needed(r) || name == "numbers exceeded" && fmt.Sprint(shifted(r.Params)) == fmt.Sprint(r.Params) {
					continue
				}
				m := *r
				mutate(&m)
				if _, problems := Build(env, &File{Name: f.Name, Rules: []*Rule{&m}}); len(problems) == 0 {
					t.Errorf("%s: the examples do not notice: %s", r.ID, name)
				}
			}
		}
	}
}

// needed tells whether a rule would have another answer without what it needs:
// where an empty list says nothing. A field that is read is unknown by itself.
func needed(r *Rule) bool {
	lists := map[string][]string{"patch.checked_at": {"updates-critical", "updates-security"}, "security.antivirus": {"antivirus"}}
	return slices.ContainsFunc(r.Needs, func(n Need) bool { return len(n.Kinds) > 0 || slices.Contains(lists[n.Field], r.ID) })
}

// shifted returns parameters whose numbers are far off.
func shifted(params expr.Params) expr.Params {
	changed := expr.Params{}
	for name, value := range params {
		switch v := value.(type) {
		case int64:
			value = v * 50
		case float64:
			value = v * 50
		}
		changed[name] = value
	}
	return changed
}

// TestDue walks through the time of every example: the verdict is the same at
// every moment before it is due, and another then.
func TestDue(t *testing.T) {
	for _, r := range builtinPack(t).Rules() {
		for _, e := range r.Examples {
			in := e.Input
			in.Now = in.Now.AddDate(-1, 0, 0)
			for range 100 {
				v := r.Evaluate(&in)
				same := func(at time.Time) bool {
					later := in
					later.Now = at
					w := r.Evaluate(&later)
					return w.Result == v.Result && slices.Equal(w.Detail, v.Detail)
				}
				if v.Due.IsZero() {
					if !same(in.Now.AddDate(20, 0, 0)) {
						t.Errorf("%s, %s: changes after %v without being due", r.ID, e.Name, in.Now)
					}
					break
				}
				if !v.Due.After(in.Now) || same(v.Due) || !same(v.Due.Add(-1)) || !same(in.Now.Add(v.Due.Sub(in.Now)/2)) {
					t.Errorf("%s, %s: at %v due at %v, which is not when the verdict changes", r.ID, e.Name, in.Now, v.Due)
					break
				}
				in.Now = v.Due
			}
		}
	}
}

// TestNothingIsUnknown holds the pack to its promise: where nothing is stated,
// nothing fails.
func TestNothingIsUnknown(t *testing.T) {
	for name, in := range map[string]*expr.Input{
		"nothing":     {Now: ExampleTime},
		"empty asset": {Now: ExampleTime, Asset: &pb.Asset{}},
		"no kinds":    {Now: ExampleTime, Asset: &pb.Asset{Id: "a", Name: "pc"}, Record: &expr.Record{}, Kinds: []string{}},
	} {
		for _, v := range builtinPack(t).Evaluate(in) {
			if v.Result == Fail {
				t.Errorf("%s: %s fails: %v", name, v.Rule.ID, v.Detail)
			}
		}
	}
}

// device is an asset as agents and MDM make it.
func device(i int) *expr.Input {
	at := func(h int) *timestamppb.Timestamp {
		return timestamppb.New(ExampleTime.Add(-time.Duration(h) * time.Hour))
	}
	skew := time.Second
	return &expr.Input{Now: ExampleTime, Kinds: []string{"agent", "mdm", "edr"}, Software: expr.Rows{{Kind: "deb", Name: "vim", Version: "9"}},
		Record: &expr.Record{ClockSkew: &skew, IdentityIssues: []string{}, DiskFullAt: expr.Never, CertificateEnd: ExampleTime.AddDate(0, 0, 20), Lifetimes: []*expr.Lifetime{}},
		Asset: &pb.Asset{Id: fmt.Sprint(i), Name: fmt.Sprint("pc-", i), Class: "laptop", Stage: "deployed", FirstSeen: at(10000), LastSeen: at(i % 2000), StageSince: at(9000),
			Sources:    []*pb.AssetSource{{Source: "agent", Kind: "agent", LastSeen: at(i % 2000)}, {Source: "jamf", Kind: "mdm", LastSeen: at(3)}},
			Provenance: map[string]*pb.Provenance{"hardware": {Source: "agent"}, "os": {Source: "agent"}, "security": {Source: "agent"}, "mdm": {Source: "jamf"}, "patch": {Source: "agent"}},
			Hardware:   &pb.Hardware{Serial: fmt.Sprint("S", i), Disks: []*pb.Disk{{Name: "nvme0", Kind: "nvme", Health: "ok"}}, Battery: &pb.Battery{HealthPct: proto.Int32(80)}},
			Os:         &pb.Os{Family: "linux", Version: "24.04", Eol: "2029-05-31", Cycle: "24.04", BootedAt: at(50)},
			Patch: &pb.Patch{CheckedAt: at(5), LastUpdated: at(90), RebootRequired: proto.Bool(i%3 == 0), AutoUpdate: "on",
				Pending: []*pb.PendingUpdate{{Id: "a", Severity: "important", PublishedAt: at(100)}, {Id: "b", Severity: "low", PublishedAt: at(500)}, {Id: "c", Severity: "none"}}},
			Security: &pb.Security{DiskEncryption: &pb.DiskEncryption{State: "on"}, Firewall: &pb.Firewall{State: "on"}, SecureBoot: proto.Bool(i%2 == 0), LocalAdmins: []string{"root"}},
			Mdm:      &pb.Mdm{Enrolled: proto.Bool(true), LastCheckIn: at(3)},
			Storage:  &pb.Storage{SystemFreePct: proto.Float64(40)},
			Owner:    &pb.Owner{Email: "ann@example.com", Active: proto.Bool(true)},
			Warranty: &pb.Warranty{End: "2027-05-01"},
		}}
}

// BenchmarkEvaluate judges one asset by the built-in pack, and by 200 rules.
func BenchmarkEvaluate(b *testing.B) {
	files := builtinFiles(b)
	many := &File{Name: "many"}
	for i := 0; len(many.Rules) < 200; i++ {
		for _, f := range files {
			for _, r := range f.Rules {
				if len(many.Rules) < 200 {
					c := *r
					c.ID = fmt.Sprint(r.ID, "-", i)
					c.Require = r.Require + fmt.Sprintf(" || asset.name == \"x%d\"", i) // so that nothing is shared
					c.Examples = nil
					many.Rules = append(many.Rules, &c)
				}
			}
		}
	}
	for name, f := range map[string][]*File{"builtin": files, "200": {many}} {
		pack, problems := Build(environment(b), f...)
		if len(problems) > 0 {
			b.Fatal(problems[0])
		}
		b.Run(name, func(b *testing.B) {
			inputs := make([]*expr.Input, 100)
			for i := range inputs {
				inputs[i] = device(i * 37)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				pack.Decide(inputs[i%len(inputs)], func(*Verdict) {})
			}
		})
	}
}
