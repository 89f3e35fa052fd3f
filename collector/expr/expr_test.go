package expr

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }

const day24 = 24 * time.Hour

// laptop states much and leaves much open.
func laptop() *Input {
	skew := 3 * time.Second
	return &Input{
		Now: now,
		Asset: &pb.Asset{
			Id: "a1", Name: "ANN-MBP", Class: "laptop", LastSeen: ago(40 * day24), Labels: map[string]string{"site": "berlin"},
			Sources: []*pb.AssetSource{
				{Source: "agent", Kind: "agent", LastSeen: ago(40 * day24)}, {Source: "jamf", Kind: "mdm", LastSeen: ago(50 * day24)},
				{Source: "intune", Kind: "mdm", LastSeen: ago(45 * day24)},
			},
			Hardware: &pb.Hardware{MemoryBytes: proto.Int64(17179869184), Disks: []*pb.Disk{
				{Name: "disk0", Kind: "nvme", Health: "ok"}, {Name: "disk1", Kind: "hdd"},
			}},
			Os:       &pb.Os{Family: "macos", Version: "14.10.1", Eol: "2026-12-31"},
			Storage:  &pb.Storage{SystemFreePct: proto.Float64(9.5)},
			Warranty: &pb.Warranty{End: "2027-01-01"},
			Patch: &pb.Patch{PendingCount: map[string]int32{"critical": 2}, Pending: []*pb.PendingUpdate{
				{Id: "a", Severity: "critical", PublishedAt: ago(10 * day24)}, {Id: "b", Severity: "low"},
			}},
			Security:  &pb.Security{},
			Mdm:       &pb.Mdm{Enrolled: proto.Bool(false)},
			Conflicts: []*pb.Conflict{{Field: "owner.email"}},
			Purchase:  &pb.Purchase{OrderedAt: "2026-02-30"},
		},
		Software: Rows{
			{Kind: "deb", Name: "openssl", Version: "3.0.11-1~deb12u2"}, {Kind: "msi", Name: "TeamViewer 15 Host", Version: "15.2"},
		},
		Record: &Record{ClockSkew: &skew, IdentityIssues: []string{}, Lifetimes: []*Lifetime{
			{Name: "python3.8", Product: "python", Cycle: "3.8", End: now.Add(-day24)}, {Name: "x", Product: "x"},
		}},
		Kinds: []string{"agent", "mdm"},
	}
}

func env(t testing.TB) *Env {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEval(t *testing.T) {
	e := env(t)
	for source, want := range map[string]string{
		// What is stated.
		`asset.os.family == "macos"`:                                   "true",
		`asset.os.family == "macos" && !asset.mdm.enrolled`:            "true",
		`asset.hardware.memory_bytes >= 16 * 1024 * 1024 * 1024`:       "true",
		`asset.storage.system_free_pct < 10`:                           "true",
		`asset.labels.site == "berlin" && asset.labels["site"] != "x"`: "true",
		`asset.patch.pending_count["critical"] > 1`:                    "true",
		`asset.name.matches("^ANN") && asset.name.startsWith("A")`:     "true",
		`asset.class in ["laptop", "desktop"]`:                         "true",
		`asset.conflicts.exists(c, c.field == "owner.email")`:          "true",
		`size(asset.hardware.disks) == 2`:                              "true",
		// Three values.
		`asset.os.build == "1"`:                                        "unknown os.build",
		`asset.owner.email == "x"`:                                     "unknown owner",
		`asset.owner.email != "x"`:                                     "unknown owner",
		`!asset.hardware.virtual`:                                      "unknown hardware.virtual",
		`asset.os.build == "1" || true`:                                "true",
		`asset.os.build == "1" && false`:                               "false",
		`false || asset.os.build == "1"`:                               "unknown os.build",
		`asset.edr.present && asset.os.build == "1"`:                   "unknown edr,os.build",
		`asset.labels.room == "1"`:                                     "unknown room",
		`has(asset.os.build)`:                                          "false",
		`has(asset.owner.email)`:                                       "false",
		`has(asset.os.family) && has(asset.labels.site)`:               "true",
		`has(asset.hardware.virtual) ? asset.hardware.virtual : false`: "false",
		`asset.hardware.virtual ? true : true`:                         "unknown hardware.virtual",
		`asset.security.local_admins.exists(a, a == "root")`:           "false",
		`asset.network.interfaces.exists(i, i.mac == "x")`:             "unknown network",
		`asset.hardware.disks.all(d, d.health != "failing")`:           "unknown hardware.disks.health",
		`asset.hardware.disks.exists(d, d.health == "ok")`:             "true",
		`asset.hardware.disks.all(d, d.kind == "ssd")`:                 "false",
		`asset.hardware.disks[0].health == "ok"`:                       "true",
		`asset.hardware.disks[7].health == "ok"`:                       "unknown",
		`asset.purchase.ordered_at < now`:                              "unknown purchase.ordered_at",
		`1 / (size(asset.name) - 7) > 0`:                               "unknown",
		// Time.
		`age(asset.last_seen) > duration("720h")`: "true",
		`age(asset.last_seen) > days(41)`:         "false",
		`asset.warranty.end < now + days(90)`:     "true",
		`asset.warranty.end < now + days(30)`:     "false",
		`now - days(3) > asset.last_seen`:         "true",
		`asset.os.eol - now <= days(36)`:          "true",
		`asset.os.eol - now <= days(35)`:          "false",
		`asset.warranty.end > date("2026-12-31")`: "true",
		`asset.patch.pending.exists(p, p.severity == "critical" && age(p.published_at) > days(7))`: "true",
		`asset.patch.pending.all(p, age(p.published_at) <= days(30))`:                              "unknown patch.pending.published_at",
		`days(size(kinds)) == duration("48h")`:                                                     "true",
		// Versions and software.
		`version(asset.os.version) < version("14.11")`:                     "true",
		`version(asset.os.version) >= version("14.9")`:                     "true",
		`version(asset.os.version) == version("14.10.1.0")`:                "true",
		`version(asset.os.build) < version("1")`:                           "unknown os.build",
		`has_software("OpenSSL")`:                                          "true",
		`has_software("openssl", "< 3.0.13")`:                              "true",
		`has_software("openssl", ">= 3.0.11-1~deb12u2 < 3.0.13")`:          "true",
		`has_software("openssl", ">3.0.11-1")`:                             "false",
		`has_software("open")`:                                             "false",
		`has_software("*teamviewer*") && has_software("team*host")`:        "true",
		`["x", "openssl"].exists(n, has_software(n))`:                      "true",
		`has_software("*anydesk*")`:                                        "false",
		`software.exists(s, s.kind == "msi" && s.name.contains("Viewer"))`: "true",
		`software.all(s, s.publisher != "")`:                               "unknown software.publisher",
		// What the collector knows.
		`seen_by("agent") > seen_by("mdm")`:                            "true",
		`seen_by("mdm") == now`:                                        "refused",
		`age(seen_by("mdm")) < days(46)`:                               "true",
		`known_to("mdm") && !known_to("edr")`:                          "true",
		`age(seen_by("edr")) < days(46)`:                               "unknown sources",
		`"mdm" in kinds && !("edr" in kinds)`:                          "true",
		`record.clock_skew < duration("1m")`:                           "true",
		`size(record.identity_issues) == 0`:                            "true",
		`record.disk_full_at > now`:                                    "unknown record.disk_full_at",
		`record.lifetimes.exists(l, now >= l.end)`:                     "true",
		`record.lifetimes.exists(l, l.product == "x" && now >= l.end)`: "unknown record.lifetimes.end",
	} {
		p, err := e.Compile(source, nil)
		if err != nil {
			if want != "refused" {
				t.Errorf("%s: %v", source, err)
			}
			continue
		}
		out, err := p.Eval(laptop())
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got := out.Value.String()
		if len(out.Missing) > 0 {
			got += " " + strings.Join(out.Missing, ",")
		}
		if got != want {
			t.Errorf("%s is %s, want %s (%s)", source, got, want, out.Reason)
		}
	}
}

func TestNothingKnown(t *testing.T) {
	e := env(t)
	for _, source := range []string{`asset.os.family == "x"`, `has_software("x")`, `software.exists(s, s.name == "x")`, `record.clock_skew > days(1)`, `"mdm" in kinds`} {
		p, err := e.Compile(source, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range []*Input{{Now: now}, {Now: now, Asset: &pb.Asset{}}} {
			if out, err := p.Eval(in); err != nil || out.Value != Unknown || len(out.Missing) == 0 {
				t.Errorf("%s on nothing: %+v, %v", source, out, err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	e := env(t)
	for source, want := range map[string]string{
		``:                                             "column 1: the expression is empty",
		`asset.os.familly == "x"`:                      `column 9: there is no field "familly" here: did you mean family?`,
		`os.family == "x"`:                             `write asset.os`,
		`asset.os.family = "x"`:                        `column 17: this is not an expression`,
		`asset.name == "a" and asset.id == "b"`:        `write && for and`,
		`asset.warranty.end < "2027-01-01"`:            `write a day as date("2027-01-31")`,
		`age(asset.last_seen) > 30`:                    `write a span of time as days(30)`,
		`asset.name`:                                   `this yields string, but a condition`,
		`date("2027-13-01") < now`:                     `"2027-13-01" is not a day`,
		`date(asset.name) < now`:                       `date takes one day`,
		`age() > days(1)`:                              `age takes one time`,
		`has_software("x", "<")`:                       `column 19: "<" does not say which versions`,
		`params.n > 1`:                                 `there is no parameter "n"`,
		`now.getDayOfWeek() == 1`:                      `time enters by comparison only`,
		`string(now) == "x"`:                           `time enters by comparison only`,
		`now + days(1) > now`:                          `time enters by comparison only`,
		`age(asset.first_seen) > age(asset.last_seen)`: `time enters by comparison only`,
		`dyn(asset).os.family == "x"`:                  `dyn() would take away`,
		`software.exists(a, software.exists(b, software.exists(c, a.name == b.name)))`: `far too long`,
		strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300):                   `column`,
		strings.Repeat("true && ", 2000) + "true":                                      `bytes long`,
		"true &&\n  asset.nam == \"x\"":                                                `line 2, column 8`,
		`days(1000000) > duration("1h")`:                                               `out of range`,
		`lowerCase("x") == "x"`:                                                        `is not known`,
		`version("1") < "2"`:                                                           `compare a version with a version`,
	} {
		_, err := e.Compile(source, nil)
		var failure *Error
		if !errors.As(err, &failure) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", source, err, want)
		}
	}
}
