package facts

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func newAptUpdates() *aptUpdates { return &aptUpdates{debs: new(dpkgReading)} }

func aptFact(ctx context.Context, a *aptUpdates) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return a.learn(ctx, h, d) }
}

// pending writes updates one a line, to compare them.
func pending(d *pb.Device) []string {
	var out []string
	for _, u := range d.GetPatch().GetPending() {
		line := u.Id + " " + u.Version + " " + u.Severity
		if len(u.Cves) > 0 {
			line += " " + strings.Join(u.Cves, ",")
		}
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

func status(packages ...string) *fstest.MapFile {
	var b strings.Builder
	for _, p := range packages {
		f := strings.Fields(p)
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: %s\nArchitecture: %s\n\n", f[0], f[1], f[2])
	}
	return text(b.String())
}

func list(packages ...string) string {
	var b strings.Builder
	for _, p := range packages {
		f := strings.Fields(p)
		fmt.Fprintf(&b, "Package: %s\nVersion: %s\nArchitecture: %s\n", f[0], f[1], f[2])
		if len(f) > 3 {
			fmt.Fprintf(&b, "Phased-Update-Percentage: %s\n", f[3])
		}
		b.WriteString("Description: x\n Package: no\n\n")
	}
	return b.String()
}

func pack(t testing.TB, ext, s string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	switch ext {
	case ".gz":
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
	case ".zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(s))
		_ = w.Close()
	default:
		t.Fatalf("no packer for %s", ext)
	}
	return text(b.String())
}

func aptMachine(t testing.TB) fstest.MapFS {
	const main, sec, bp = "var/lib/apt/lists/d.org_debian_dists_bookworm_", "var/lib/apt/lists/d.org_sec_dists_stable_", "var/lib/apt/lists/d.org_debian_dists_bookworm-backports_"
	return fstest.MapFS{
		"var/lib/dpkg/status": status("same 1.0-1 amd64", "behind 1.0-1 amd64", "unsafe 1.0-1 amd64", "ported 2.0-1~bpo12+1 amd64", "multi 1 amd64", "multi 1 i386",
			"local 9 all", "phased 1 all", "held-back 1 all", "was-all 1 all"),
		main + "InRelease": text("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian\nSuite: oldstable\nCodename: bookworm\n"),
		main + "main_binary-amd64_Packages": text(list("same 1.0-1 amd64", "behind 1.0-2 amd64", "behind 1.0-1 amd64", "other 2 amd64", "unsafe 1.0-3 amd64",
			"multi 2 amd64", "phased 2 all 0", "held-back 2 all 30", "was-all 2 amd64")),
		main + "main_binary-i386_Packages.gz":                      pack(t, ".gz", list("behind 7 i386", "multi 3 i386")),
		sec + "InRelease":                                          text("Suite: oldstable-security\nCodename: bookworm-security\nLabel: Debian-Security\n"),
		sec + "main_binary-amd64_Packages.zst":                     pack(t, ".zst", list("unsafe 1.0-2 amd64", "same 0.9 amd64")),
		bp + "InRelease":                                           text("Suite: bookworm-backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n"),
		bp + "main_binary-amd64_Packages":                          text(list("same 2.0-1~bpo12+1 amd64", "ported 3.0-1~bpo12+1 amd64")),
		"var/lib/apt/lists/x_dists_exp_Release":                    text("Suite: experimental\nNotAutomatic: yes\n"),
		"var/lib/apt/lists/x_dists_exp_main_binary-amd64_Packages": text(list("same 5 amd64")),
	}
}

var aptPending = []string{"behind 1.0-2 none", "held-back 2 none", "multi 2 none", "multi 3 none", "ported 3.0-1~bpo12+1 none", "unsafe 1.0-3 security", "was-all 2 none"}

func TestAptUpdates(t *testing.T) {
	fsys := aptMachine(t)
	fsys["var/lib/apt/periodic/update-success-stamp"] = &fstest.MapFile{ModTime: time.Unix(1_750_000_000, 0)}
	facts := newAptUpdates()
	for range 2 {
		got, err := learn(t, aptFact(t.Context(), facts), fsys)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(aptPending, pending(got)); diff != "" {
			t.Errorf("pending (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int32{"none": 6, "security": 1}, got.Patch.PendingCount); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if got.Patch.CheckedAt.GetSeconds() != 1_750_000_000 {
			t.Errorf("checked at %v", got.Patch.CheckedAt.AsTime())
		}
		// What a caller does to its answer must not reach the next one.
		got.Patch.Pending[0].Id = "changed"
	}
	fsys["var/lib/dpkg/status"] = status("same 1.0-1 amd64", "behind 1.0-2 amd64")
	if got, err := learn(t, aptFact(t.Context(), facts), fsys); err != nil || len(got.Patch.Pending) != 0 {
		t.Errorf("after the upgrade: %v, error %v", pending(got), err)
	}
}

func TestAptDamage(t *testing.T) {
	const name = "var/lib/apt/lists/d.org_debian_dists_bookworm_main_binary-amd64_Packages"
	many := []string{"behind 1.0-2 amd64"}
	for i := range 20_000 {
		many = append(many, fmt.Sprintf("filler%d 1.%d amd64", i, i))
	}
	fsys := aptMachine(t)
	delete(fsys, name)
	whole := pack(t, ".gz", list(many...))
	fsys[name+".gz"] = text(string(whole.Data[:len(whole.Data)-1000]))
	got, err := learn(t, aptFact(t.Context(), newAptUpdates()), fsys)
	if err == nil || !strings.Contains(err.Error(), name+".gz: unexpected EOF") || len(pending(got)) == 0 || pending(got)[0] != "behind 1.0-2 none" {
		t.Errorf("list cut short: %v, error %v", pending(got), err)
	}
	delete(fsys, name+".gz")
	fsys[name+".xz"] = text("whatever")
	if got, err := learn(t, aptFact(t.Context(), newAptUpdates()), fsys); err == nil || !strings.Contains(err.Error(), "compressed as .xz are not read") || len(pending(got)) == 0 {
		t.Errorf("unknown compression: %v, error %v", pending(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := learn(t, aptFact(ctx, newAptUpdates()), aptMachine(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// A machine without lists knows nothing, which is not the same as no updates.
func TestAptWithoutLists(t *testing.T) {
	for _, fsys := range []fstest.MapFS{{}, {"var/lib/apt/lists/lock": text(""), "var/lib/dpkg/status": status("a 1 all")}} {
		got, err := learn(t, aptFact(t.Context(), newAptUpdates()), fsys)
		if !errors.Is(err, errors.ErrUnsupported) || got.Patch != nil {
			t.Errorf("%v, error %v", got.Patch, err)
		}
	}
}

// A list that is read in many chunks gives what it gives in one.
func TestAptChunks(t *testing.T) {
	var many, installed, want []string
	for i := range 30_000 {
		many = append(many, fmt.Sprintf("p%05d 2.%d all", i, i))
		if i%1000 == 7 {
			installed = append(installed, fmt.Sprintf("p%05d 1 all", i))
			want = append(want, fmt.Sprintf("p%05d 2.%d none", i, i))
		}
	}
	got, err := learn(t, aptFact(t.Context(), newAptUpdates()), fstest.MapFS{
		"var/lib/dpkg/status":                       status(installed...),
		"var/lib/apt/lists/x_dists_y_main_Packages": text(list(many...)),
	})
	if diff := cmp.Diff(want, pending(got)); diff != "" || err != nil {
		t.Errorf("pending (-want +got):\n%s, error %v", diff, err)
	}
}

func FuzzAptList(f *testing.F) {
	f.Add([]byte(list("a 2 amd64", "b 3 all 0")))
	f.Add([]byte("Version: 2\nPackage: a\nArchitecture: all"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = learn(t, aptFact(t.Context(), newAptUpdates()), fstest.MapFS{
			"var/lib/dpkg/status":                       status("a 1 amd64", "b 1 all"),
			"var/lib/apt/lists/x_dists_y_main_Packages": &fstest.MapFile{Data: b},
		})
	})
}

// BenchmarkAptUpdates reads this machine's lists as a fresh agent does.
func BenchmarkAptUpdates(b *testing.B) {
	fsys := os.DirFS("/")
	if _, err := learn(b, aptFact(b.Context(), newAptUpdates()), fsys); errors.Is(err, errors.ErrUnsupported) {
		b.Skipf("no lists to read: %v", err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := learn(b, aptFact(b.Context(), newAptUpdates()), fsys); err != nil {
			b.Fatal(err)
		}
	}
}
