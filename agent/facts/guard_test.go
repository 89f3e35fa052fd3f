package facts

import (
	"context"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A fact that ignores its context costs its time once; it is named, and not
// begun again before it returned.
func TestAFactThatHangsIsBegunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var begun atomic.Int32
		list := Guard([]Fact{
			{Name: "hang", Section: section.Storage, Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error {
				begun.Add(1)
				<-release
				d.Storage = new(pb.Storage)
				return nil
			}},
			{Name: "good", Section: section.Hardware, Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error { d.Name = "fine"; return nil }},
		})
		h := &host.Host{FS: fstest.MapFS{}, OS: "linux", Now: time.Now}
		begin := time.Now()
		for i, want := range []struct {
			took    time.Duration
			problem string
		}{{defaultTimeout + maxGrace, "gave up after 20s"}, {0, "not tried: it still hangs in an earlier collection, since 2000-01-01T00:00:00Z"}} {
			at := time.Now()
			r := Collect(t.Context(), h, Options{Facts: list})
			if took := time.Since(at); took != want.took || begun.Load() != 1 {
				t.Errorf("collection %d took %s, the fact was begun %d times", i, took, begun.Load())
			}
			if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error, want.problem) || r.Device.Name != "fine" || r.Device.Storage != nil {
				t.Errorf("collection %d: %v, %v", i, r.Problems, r.Device)
			}
			if !r.Costs[0].HangsSince.Equal(begin) || !r.Costs[1].HangsSince.IsZero() {
				t.Errorf("collection %d says %+v", i, r.Costs)
			}
		}
		close(release)
		synctest.Wait()
		if r := Collect(t.Context(), h, Options{Facts: list}); begun.Load() != 2 || len(r.Problems) != 0 || !r.Costs[0].HangsSince.IsZero() {
			t.Errorf("after it returned: begun %d times, %v, %+v", begun.Load(), r.Problems, r.Costs)
		}
	})
}

// A fact that heeds its context keeps what it found until then.
func TestAFactWhoseTimeIsUpKeepsWhatItFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := Guard([]Fact{{Name: "slow", Section: section.OS, Learn: func(ctx context.Context, _ *host.Host, d *pb.Device) error {
			d.Os = &pb.Os{Name: "Plan 9"}
			<-ctx.Done()
			return ctx.Err()
		}}})
		r := Collect(t.Context(), &host.Host{FS: fstest.MapFS{}, OS: "linux", Now: time.Now}, Options{Facts: list})
		if r.Device.GetOs().GetName() != "Plan 9" || r.Sections[1].State != section.Partial || !r.Costs[0].HangsSince.IsZero() {
			t.Errorf("%v, %v, %+v", r.Device, r.Sections[1], r.Costs)
		}
	})
}

// away is a file system whose server is away for some names.
type away struct {
	fs.FS
	release chan struct{}
	prefix  string
}

func (a away) wait(name string) {
	if strings.HasPrefix(name, a.prefix) {
		<-a.release
	}
}

func (a away) Stat(name string) (fs.FileInfo, error) {
	a.wait(name)
	return fs.Stat(a.FS, name)
}

func (a away) ReadDir(name string) ([]fs.DirEntry, error) {
	a.wait(name)
	return fs.ReadDir(a.FS, name)
}

// A path on a file system whose server is away must not hang the agent.
func TestLooksThatHangAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		close(release)
		tree := fstest.MapFS{"net/db": {Data: []byte("1")}}
		learnt := 0
		list := Guard([]Fact{{Name: "packages", Section: section.OS, Watch: []string{"net/db"}, Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error {
			learnt++
			d.Os = &pb.Os{Name: "Plan 9"}
			return nil
		}}})
		h := &host.Host{FS: away{tree, release, "net/"}, OS: "linux", Now: time.Now}
		m := NewMemory()
		Collect(t.Context(), h, Options{Facts: list, Memory: m})

		release = make(chan struct{})
		h.FS = away{tree, release, "net/"}
		begin := time.Now()
		if m.Changed(t.Context(), h, list) || time.Since(begin) != defaultTimeout {
			t.Errorf("a look that hangs was given up after %s", time.Since(begin))
		}
		begin = time.Now()
		if m.Changed(t.Context(), h, list) || time.Since(begin) != 0 {
			t.Errorf("the next took %s", time.Since(begin))
		}
		r := Collect(t.Context(), h, Options{Facts: list, Memory: m})
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error, "look at what it watches: gave up") || learnt != 1 {
			t.Errorf("%v, learnt %d times", r.Problems, learnt)
		}
		close(release)
		synctest.Wait()
		tree["net/db"] = &fstest.MapFile{Data: []byte("22")}
		if !m.Changed(t.Context(), h, list) {
			t.Error("the server is back, and the change is not seen")
		}
	})
}
