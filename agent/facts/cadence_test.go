package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// rhythm is a machine of one fact that counts how often it is learnt.
type rhythm struct {
	t      *testing.T
	host   *host.Host
	tree   fstest.MapFS
	clock  time.Time
	memory *Memory
	fact   Fact
	learnt int
	err    error
}

func newRhythm(t *testing.T, f Fact) *rhythm {
	t.Helper()
	r := &rhythm{t: t, tree: fstest.MapFS{}, clock: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC), memory: NewMemory(), fact: f}
	r.host = &host.Host{FS: r.tree, OS: "linux", Now: func() time.Time { return r.clock }}
	r.fact.Name = "counted"
	r.fact.Learn = func(_ context.Context, _ *host.Host, d *pb.Device) error {
		r.learnt++
		text := fmt.Sprint("look ", r.learnt)
		if r.fact.Section == section.Software {
			return errors.Join(r.err, addSoftware(d, []*pb.Software{{Kind: "deb", Name: "bash", Version: text}}))
		}
		if d.Os == nil {
			d.Os = new(pb.Os)
		}
		d.Os.Edition = text
		return r.err
	}
	return r
}

// collect makes a collection after some time, in which other facts come first,
// and returns it with how often the fact was learnt by then.
func (r *rhythm) collect(after time.Duration, others ...Fact) (Result, int) {
	r.t.Helper()
	r.clock = r.clock.Add(after)
	out := Collect(r.t.Context(), r.host, Options{Facts: append(others, r.fact), Memory: r.memory})
	return out, r.learnt
}

func (r *rhythm) expect(what string, after time.Duration, want int) {
	r.t.Helper()
	if _, got := r.collect(after); got != want {
		r.t.Errorf("%s: learnt %d times, want %d", what, got, want)
	}
}

func TestDearFactsHaveTheirOwnCadence(t *testing.T) {
	r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
	r.expect("first", 0, 1)
	r.expect("too early", 59*time.Minute, 1)
	out, _ := r.collect(0)
	if got := out.Device.GetOs().GetEdition(); got != "look 1" || out.Sections[1].State != section.Complete {
		t.Errorf("kept: %q, %v", got, out.Sections[1])
	}
	if out.Costs[0].KeptSince != r.clock.Add(-59*time.Minute) {
		t.Errorf("kept since %s", out.Costs[0].KeptSince)
	}
	r.expect("due", time.Minute, 2)
	r.expect("the clock is set back", -48*time.Hour, 3)
	r.expect("kept on the new clock", time.Minute, 3)
}

func TestCheapFactsAreLearntEachTime(t *testing.T) {
	r := newRhythm(t, Fact{Section: section.OS})
	r.expect("first", 0, 1)
	r.expect("at once again", 0, 2)
}

func TestWithoutMemoryAllIsLearnt(t *testing.T) {
	r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
	r.memory = nil
	r.expect("first", 0, 1)
	r.expect("at once again", 0, 2)
}

func TestWatchedFactsAreLearntWhenAPathChanges(t *testing.T) {
	const path = "var/lib/dpkg/status"
	r := newRhythm(t, Fact{Section: section.Software, Watch: []string{path, "var/lib/other"}})
	r.tree[path] = &fstest.MapFile{Data: []byte("a"), ModTime: r.clock}
	r.expect("first", 0, 1)
	r.expect("nothing changed", 23*time.Hour, 1)
	if r.memory.Changed(t.Context(), r.host, []Fact{r.fact}) {
		t.Error("changed, though nothing did")
	}
	for what, change := range map[string]func(){
		"time":     func() { r.tree[path].ModTime = r.tree[path].ModTime.Add(time.Nanosecond) },
		"size":     func() { r.tree[path].Data = append(r.tree[path].Data, 'b') },
		"mode":     func() { r.tree[path].Mode ^= 0o200 },
		"new path": func() { r.tree["var/lib/other"] = &fstest.MapFile{} },
	} {
		before := r.learnt
		// A new entry: what was learnt of the old one is not to change with it.
		entry := *r.tree[path]
		r.tree[path] = &entry
		change()
		if !r.memory.Changed(t.Context(), r.host, []Fact{r.fact}) {
			t.Errorf("%s: the change is not seen", what)
		}
		r.expect(what, time.Second, before+1)
		r.expect(what+", then nothing", time.Second, before+1)
	}
	before := r.learnt
	r.expect("after a day", 24*time.Hour, before+1)
	out, _ := r.collect(0)
	want := []*pb.Software{{Kind: "deb", Name: "bash", Version: fmt.Sprint("look ", r.learnt)}}
	if diff := cmp.Diff(want, out.Device.Software, protocmp.Transform()); diff != "" {
		t.Errorf("kept rows (-want +got):\n%s", diff)
	}
}

// unreadable denies one path.
type unreadable struct {
	fs.FS
	path string
}

func (u unreadable) Open(name string) (fs.File, error) {
	if name == u.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.FS.Open(name)
}

func TestAFactWhoseWatchCannotBeReadIsLearnt(t *testing.T) {
	r := newRhythm(t, Fact{Section: section.OS, Watch: []string{"etc/secret"}})
	r.host.FS = unreadable{r.tree, "etc/secret"}
	r.expect("first", 0, 1)
	r.expect("again", time.Minute, 2)
}

func TestOnlyWhatWasLearntWhollyIsKept(t *testing.T) {
	r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
	r.err = errors.New("half of it")
	r.expect("failed", 0, 1)
	r.err = fmt.Errorf("none: %w", errors.ErrUnsupported)
	r.expect("absent", time.Minute, 2)
	out, n := r.collect(time.Minute)
	if n != 2 || len(out.Problems) > 0 || out.Sections[1].State != section.Skipped {
		t.Errorf("learnt %d times, %v", n, out.Sections[1])
	}
}

// What was kept is used only where the fact would be given the same as then.
func TestKeptFactsFollowTheFactsBeforeThem(t *testing.T) {
	name := "Debian"
	first := Fact{Name: "first", Section: section.OS, Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error {
		d.Os = &pb.Os{Name: name}
		return nil
	}}
	r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
	r.collect(0, first)
	if _, n := r.collect(time.Minute, first); n != 1 {
		t.Errorf("learnt %d times, though nothing changed", n)
	}
	name = "Ubuntu"
	out, n := r.collect(time.Minute, first)
	if got := out.Device.GetOs(); n != 2 || got.GetName() != "Ubuntu" || got.GetEdition() != "look 2" {
		t.Errorf("learnt %d times, %v", n, got)
	}
}

func TestDearFactsWaitForPowerADayAtMost(t *testing.T) {
	battery := func(tree fstest.MapFS, status, capacity string) {
		for name, text := range map[string]string{"type": "Battery", "status": status, "capacity": capacity} {
			tree[powerSupply+"/BAT0/"+name] = &fstest.MapFile{Data: []byte(text + "\n")}
		}
	}
	for name, tc := range map[string]struct {
		status, capacity string
		want             int
	}{
		"low":          {"Discharging", "19", 1},
		"enough":       {"Discharging", "20", 2},
		"plugged in":   {"Charging", "3", 2},
		"says nothing": {"Discharging", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
			battery(r.tree, tc.status, tc.capacity)
			r.expect("first", 0, 1)
			r.expect("due", time.Hour, tc.want)
		})
	}
	r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
	battery(r.tree, "Discharging", "5")
	r.expect("first", 0, 1)
	r.expect("put off", time.Hour, 1)
	r.expect("put off still", 24*time.Hour-time.Second, 1)
	r.expect("put off long enough", time.Second, 2)
	r.expect("not due", 30*time.Minute, 2)
	r.expect("put off again", 30*time.Minute, 2)
	if r.fact.Watch = []string{"etc/new"}; r.memory.Changed(t.Context(), r.host, []Fact{r.fact}) {
		t.Error("a fact that is put off asks for a collection")
	}
	r.fact.Watch = nil
	battery(r.tree, "Charging", "6")
	r.expect("power", time.Minute, 3)
}

// With a memory, a machine looks as it does without.
func TestMemoryChangesNothingOfAMachine(t *testing.T) {
	h := host.Live()
	if h.OS != "linux" {
		t.Skip("reads the machine twice, which is known to be quick on Linux only")
	}
	opts := Options{Facts: All(), Memory: NewMemory()}
	first := Collect(t.Context(), h, opts)
	second := Collect(t.Context(), h, opts)
	kept := 0
	for _, c := range second.Costs {
		if !c.KeptSince.IsZero() {
			kept++
		}
	}
	if kept == 0 {
		t.Error("nothing was kept")
	}
	for _, d := range []*pb.Device{first.Device, second.Device} {
		d.Storage = nil // free space can cross a step while the tests write
	}
	if diff := cmp.Diff(first.Device, second.Device, protocmp.Transform()); diff != "" {
		t.Errorf("learnt and kept differ (-learnt +kept):\n%s", diff)
	}
}
