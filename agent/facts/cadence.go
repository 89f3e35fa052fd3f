package facts

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxKept is how old a kept fact may become, whatever its watches say: not all
// that a fact reads can be watched.
const maxKept = 24 * time.Hour

// Memory keeps what facts found, so that a later collection need not learn
// those anew that are not due. It belongs to one list of facts of one machine
// and is used by one collection at a time. What it keeps is encoded, which is
// small and cannot be changed by who got it.
type Memory struct {
	kept map[string]*keptFact
	// watch, power and load take the looks that are no facts.
	watch, power, load lookout
}

// NewMemory returns a memory of nothing.
func NewMemory() *Memory { return &Memory{kept: make(map[string]*keptFact)} }

// keptFact is what one fact found.
type keptFact struct {
	at     time.Time
	stamps []pathState
	// before is the digest of the section that the fact was given, after the
	// section that it made of it. Of software, after has the fact's own rows
	// only, whatever was there before.
	before [sha256.Size]byte
	after  []byte
	// absent: this machine has no such thing.
	absent bool
	// dueSince is since when it is put off, zero where it is not.
	dueSince time.Time
}

// Changed tells whether a watched path of a kept fact changed since, so that a
// collection would find something new. It costs a look at each path. A fact that
// is put off does not count: it would be put off again. Nor does one that hangs,
// and nothing does while the look itself hangs.
func (m *Memory) Changed(ctx context.Context, h *host.Host, list []Fact) bool {
	type watched struct {
		paths  []string
		stamps []pathState
	}
	var all []watched
	for _, f := range list {
		k := m.kept[f.key()]
		if k != nil && k.dueSince.IsZero() && len(f.Watch) > 0 && f.on(h.OS) && f.hangsSince().IsZero() {
			all = append(all, watched{f.Watch, k.stamps[:min(len(f.Watch), len(k.stamps))]})
		}
	}
	return m.watch.take(ctx, func(context.Context) bool {
		return slices.ContainsFunc(all, func(w watched) bool { return !same(w.stamps, stampsOf(h, w.paths)) })
	})
}

// key tells facts of the same name, in lists of several systems, apart.
func (f Fact) key() string { return f.Section + "/" + f.Name }

// on tells whether the fact can be learnt on a system.
func (f Fact) on(goos string) bool { return len(f.OS) == 0 || slices.Contains(f.OS, goos) }

// keeps tells whether what the fact found may be kept at all.
func (f Fact) keeps() bool { return f.Every > 0 || len(f.watched()) > 0 }

// watched returns all that a fact watches, first what brings a reading about.
func (f Fact) watched() []string { return slices.Concat(f.Watch, f.WatchQuietly) }

// due tells whether a kept fact has to be learnt again.
func (k *keptFact) due(f Fact, now time.Time, stamps []pathState) bool {
	age := now.Sub(k.at)
	longest := maxKept
	if f.Every > 0 {
		longest = min(f.Every, maxKept)
	}
	// A clock that was set back tells nothing of the age.
	return age < 0 || age >= longest || !same(k.stamps, stamps)
}

// recall files what was kept of a fact that is not due, or is put off. It
// returns false where the fact has to be learnt.
func (c *collection) recall(ctx context.Context, f Fact, stamps []pathState) (*keptFact, bool) {
	if c.memory == nil || !f.keeps() {
		return nil, false
	}
	k := c.memory.kept[f.key()]
	if k == nil {
		return nil, false
	}
	now := c.host.Now()
	if !k.due(f, now, stamps) {
		k.dueSince = time.Time{}
	} else if !c.putOff(ctx, f, k, now) {
		return nil, false
	}
	return k, c.restore(f, k) == nil
}

// putOff tells whether a fact that is due waits, because it is dear and the
// machine is strained.
func (c *collection) putOff(ctx context.Context, f Fact, k *keptFact, now time.Time) bool {
	if f.Every <= 0 || now.Before(k.at) {
		return false
	}
	s := c.strained(ctx)
	if s.longest == 0 {
		return false
	}
	if k.dueSince.IsZero() {
		k.dueSince = now
	}
	since := now.Sub(k.dueSince)
	return since >= 0 && since < s.longest
}

// errOutdated is returned for what was kept under other circumstances.
var errOutdated = errors.New("what earlier facts of the section found has changed")

// restore adds what was kept to what is known.
func (c *collection) restore(f Fact, k *keptFact) error {
	if k.absent {
		return nil
	}
	found := new(pb.Device)
	if f.Section == section.Software {
		if err := proto.Unmarshal(k.after, found); err != nil {
			return err
		}
		all := copySection(c.out.Device, f.Section)
		if err := addSoftware(all, found.Software); err != nil {
			return err
		}
		section.Replace(c.out.Device, all, f.Section)
		return nil
	}
	before, err := section.Encode(c.out.Device, f.Section)
	if err != nil {
		return err
	}
	if sha256.Sum256(before) != k.before {
		return errOutdated
	}
	if err := proto.Unmarshal(k.after, found); err != nil {
		return err
	}
	section.Replace(c.out.Device, found, f.Section)
	return nil
}

// remember keeps what a fact made of the section it was given, where it was
// learnt wholly. One that cannot be kept is learnt again, which is no error.
func (c *collection) remember(f Fact, at time.Time, stamps []pathState, learnt *pb.Device, err error) {
	if c.memory == nil || !f.keeps() {
		return
	}
	delete(c.memory.kept, f.key())
	k := &keptFact{at: at, stamps: stamps, absent: errors.Is(err, errors.ErrUnsupported)}
	if err != nil && !k.absent || len(f.watched()) > 0 && stamps == nil {
		return
	}
	if !k.absent {
		before, err := section.Encode(c.out.Device, f.Section)
		if err != nil {
			return
		}
		k.before = sha256.Sum256(before)
		if f.Section == section.Software {
			learnt = &pb.Device{Software: added(c.out.Device.GetSoftware(), learnt.GetSoftware())}
		}
		if k.after, err = section.Encode(learnt, f.Section); err != nil {
			return
		}
	}
	c.memory.kept[f.key()] = k
}

// added returns the rows that were not there before; facts share the rows that
// were.
func added(before, after []*pb.Software) []*pb.Software {
	old := make(map[*pb.Software]struct{}, len(before))
	for _, row := range before {
		old[row] = struct{}{}
	}
	out := make([]*pb.Software, 0, max(len(after)-len(before), 0))
	for _, row := range after {
		if _, ok := old[row]; !ok {
			out = append(out, row)
		}
	}
	return out
}

// pathState is what tells whether a file, folder or key of the registry changed.
type pathState struct {
	// info is of a file or folder, nil where there is none.
	info fs.FileInfo
	// keys is of a watched path of the registry, zero where no key has it.
	keys [sha256.Size]byte
}

// stampsOf returns the stamps of paths, nil where there are none or one of them
// cannot be looked at: then nobody can say whether it changed.
func stampsOf(h *host.Host, paths []string) []pathState {
	if len(paths) == 0 {
		return nil
	}
	out := make([]pathState, len(paths))
	for i, name := range paths {
		if ofRegistry(name) {
			ok := false
			if out[i].keys, ok = keysWritten(h, name); !ok {
				return nil
			}
			continue
		}
		info, err := fs.Stat(h.FS, name)
		if err != nil && !missing(err) {
			return nil
		}
		if err == nil {
			out[i].info = info
		}
	}
	return out
}

// same tells whether nothing changed between two looks at the same paths.
func same(a, b []pathState) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(s pathState) bool {
		other := b[0]
		b = b[1:]
		return !s.same(other)
	})
}

func (s pathState) same(other pathState) bool {
	a, b := s.info, other.info
	if a == nil || b == nil {
		return a == nil && b == nil && s.keys == other.keys
	}
	if a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) || a.Mode() != b.Mode() {
		return false
	}
	// A file system that has no inodes finds a file to be another than itself.
	return os.SameFile(a, b) || !os.SameFile(a, a)
}
