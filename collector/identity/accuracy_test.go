package identity

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// An estate is small where tests run and large where `make bench` does, which
// takes the number of devices from ESTATE_DEVICES and the seed from ESTATE_SEED.
const (
	testDevices  = 3_000
	benchDevices = 50_000
)

// evidence is one record of a source: what it is truly about, what it says and
// when it lived.
type evidence struct {
	truth int
	claim Claim
	// serial, uuid, macs and name are as plain rules compare them.
	keys map[string][]string
}

// estate reads all that the sources of an estate state, record by record.
func estate(seed uint64, devices int, hazards synth.Hazards) []evidence {
	e := synth.NewEstate(seed, devices, hazards)
	unique := make(map[string]bool)
	for _, s := range e.Sources() {
		unique[s.GetId()] = s.GetUnique()
	}
	var out []evidence
	for i := range devices {
		histories := make(map[Ref]History)
		latest := make(map[Ref]*pb.Observation)
		for _, s := range e.Device(i) {
			o := s.Observation
			ref := Ref{Source: o.GetSource(), ID: o.GetSourceId()}
			h, ok := histories[ref]
			at := o.GetObservedAt().AsTime()
			if !ok {
				h = History{Unique: unique[ref.Source], First: at, Last: at}
			}
			if at.Before(h.First) {
				h.First = at
			}
			if !at.Before(h.Last) {
				h.Last, latest[ref] = at, o
			}
			histories[ref] = h
		}
		for ref, o := range latest {
			out = append(out, evidence{truth: i, claim: NewClaim(o, histories[ref]), keys: plain(o)})
		}
	}
	return out
}

// plain returns an observation's identifiers as they stand, but for case and
// spaces around them.
func plain(o *pb.Observation) map[string][]string {
	hw, net := o.GetDevice().GetHardware(), o.GetDevice().GetNetwork()
	keys := make(map[string][]string)
	add := func(kind, value string) {
		if value = strings.ToLower(strings.TrimSpace(value)); value != "" {
			keys[kind] = append(keys[kind], kind+"/"+value)
		}
	}
	add("serial", hw.GetSerial())
	add("uuid", hw.GetUuid())
	add("hostname", net.GetHostname())
	for _, i := range net.GetInterfaces() {
		add("mac", i.GetMac())
	}
	return keys
}

// matchers are ways to tell which records are one device: each returns the
// number of the group of each record.
var matchers = []struct {
	name  string
	group func([]evidence) []int
}{
	{"rollcall", resolved},
	{"serial", by("serial")},
	{"serial_or_uuid_or_mac", by("serial", "uuid", "mac")},
	{"hostname", by("hostname")},
}

func resolved(records []evidence) []int {
	claims := make([]Claim, len(records))
	for i, r := range records {
		claims[i] = r.claim
	}
	return numbered(records, Resolve(claims, nil))
}

func numbered(records []evidence, r Resolution) []int {
	at := make(map[Ref]int, len(records))
	for i, r := range records {
		at[r.claim.Ref] = i
	}
	groups := make([]int, len(records))
	for g, refs := range r.Groups {
		for _, ref := range refs {
			groups[at[ref]] = g
		}
	}
	return groups
}

// by unites records that share an identifier of any of these kinds.
func by(kinds ...string) func([]evidence) []int {
	return func(records []evidence) []int {
		members := make([][]Key, len(records))
		for i, r := range records {
			for _, kind := range kinds {
				for _, v := range r.keys[kind] {
					members[i] = append(members[i], Key{Value: v})
				}
			}
		}
		return plainGroups(members)
	}
}

// plainGroups returns which members belong together: for each, the number of its
// group, groups being numbered in the order of their first member. Two members
// are in one group when a chain of shared keys connects them; the grouping does
// not depend on the order of the members.
func plainGroups(members [][]Key) []int {
	sets := newSets(len(members))
	holder := make(map[Key]int)
	for i, keys := range members {
		for _, k := range keys {
			if j, ok := holder[k]; ok {
				sets.unite(i, j)
			} else {
				holder[k] = i
			}
		}
	}
	groups := make([]int, len(members))
	numbers := make(map[int]int)
	for i := range members {
		r := sets.root(i)
		if _, ok := numbers[r]; !ok {
			numbers[r] = len(numbers)
		}
		groups[i] = numbers[r]
	}
	return groups
}

// score compares a grouping with the truth, pair by pair: precision is the
// share of the pairs put together that belong together, recall the share of
// those that belong together that were put together.
func score(records []evidence, groups []int) (precision, recall float64) {
	type cell struct{ group, truth int }
	both, group, truth := make(map[cell]int), make(map[int]int), make(map[int]int)
	for i, r := range records {
		both[cell{groups[i], r.truth}]++
		group[groups[i]]++
		truth[r.truth]++
	}
	right := countPairs(both)
	return float64(right) / float64(max(1, countPairs(group))), float64(right) / float64(max(1, countPairs(truth)))
}

// strangerPairs counts the pairs that were put together and do not belong
// together: a precision of nearly 1 is printed as 1.
func strangerPairs(records []evidence, groups []int) int {
	type cell struct{ group, truth int }
	both, group := make(map[cell]int), make(map[int]int)
	for i, r := range records {
		both[cell{groups[i], r.truth}]++
		group[groups[i]]++
	}
	return countPairs(group) - countPairs(both)
}

func countPairs[K comparable](sizes map[K]int) (n int) {
	for _, size := range sizes {
		n += size * (size - 1) / 2
	}
	return n
}

// Nothing is united that does not belong together, and hardly anything that
// does is missed, with every hazard and with each alone.
func TestAccuracy(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		judged(t, "all hazards", seed, testDevices, synth.AllHazards)
	}
	for _, tc := range []struct {
		name    string
		hazards synth.Hazards
	}{
		{"none", synth.NoHazards}, {"placeholders", synth.JunkSerials | synth.UnlistedJunk}, {"clones", synth.Clones},
		{"records anew", synth.Reimages | synth.DuplicateRecords | synth.DualBoots}, {"boards", synth.BoardSwaps},
		{"docks and names", synth.SharedDocks | synth.Renames}, {"lies and lags", synth.Lies | synth.Lags}, {"spelling", synth.Spelling},
	} {
		judged(t, tc.name, 4, testDevices/3, tc.hazards)
	}
}

func judged(t *testing.T, name string, seed uint64, devices int, hazards synth.Hazards) {
	t.Helper()
	records := estate(seed, devices, hazards)
	precision, recall := score(records, resolved(records))
	t.Logf("%-15s seed %d: %d records, precision %.5f, recall %.5f", name, seed, len(records), precision, recall)
	if precision < 1 || recall < 0.99 {
		t.Errorf("%s, seed %d: precision %.5f and recall %.5f, want 1 and at least 0.99%s", name, seed, precision, recall, mixed(records))
	}
}

// mixed tells of some groups that hold more than one device.
func mixed(records []evidence) string {
	groups := resolved(records)
	members := make(map[int][]evidence)
	for i, r := range records {
		members[groups[i]] = append(members[groups[i]], r)
	}
	var b strings.Builder
	shown := 0
	for _, group := range members {
		if slices.ContainsFunc(group, func(e evidence) bool { return e.truth != group[0].truth }) && shown < 3 {
			shown++
			for _, e := range group {
				b.WriteString("\n" + strconv.Itoa(e.truth) + " " + e.claim.Ref.String() + " " + e.claim.From.Format(time.DateTime) + " to " + e.claim.Until.Format(time.DateTime))
				for _, k := range slices.Concat(e.claim.Keys, e.claim.Weak) {
					b.WriteString(", " + k.String())
				}
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// BenchmarkAccuracy prints how well our rule and the plain ones of other
// systems find the devices of a large estate with every hazard, and what a
// record costs.
func BenchmarkAccuracy(b *testing.B) {
	devices := benchDevices
	if n, err := strconv.Atoi(os.Getenv("ESTATE_DEVICES")); err == nil {
		devices = n
	}
	seed, err := strconv.ParseUint(os.Getenv("ESTATE_SEED"), 10, 64)
	if err != nil {
		seed = 20261120
	}
	records := estate(seed, devices, synth.AllHazards)
	for _, m := range matchers {
		b.Run(m.name, func(b *testing.B) {
			var groups []int
			for b.Loop() {
				groups = m.group(records)
			}
			precision, recall := score(records, groups)
			b.ReportMetric(precision, "precision")
			b.ReportMetric(recall, "recall")
			b.ReportMetric(float64(len(records)), "records")
			b.ReportMetric(float64(strangerPairs(records, groups)), "stranger_pairs")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/record")
		})
	}
}

// BenchmarkOneDevice is what a change of one record costs: reading it, and
// resolving all records of its device.
func BenchmarkOneDevice(b *testing.B) {
	e := synth.NewEstate(1, 100, synth.AllHazards)
	var most []synth.Statement
	for i := range 100 {
		if s := e.Device(i); len(s) > len(most) {
			most = s
		}
	}
	var claims []Claim
	for _, s := range most {
		claims = append(claims, NewClaim(s.Observation, History{Unique: true}))
	}
	b.ReportAllocs()
	for b.Loop() {
		claims[0] = NewClaim(most[0].Observation, History{Unique: true})
		Resolve(claims, nil)
	}
}
