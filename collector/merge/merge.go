// Package merge folds what several sources say about one thing into one record
// with the provenance of every field; it is a pure function of the statements.
package merge

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Statement is one observation and what is known about it.
type Statement struct {
	// Observation is not modified; the asset may share its parts.
	Observation *pb.Observation
	// Kind of its source: agent, mdm, ...
	Kind string
	// FirstSeen is when the source first stated the thing.
	FirstSeen time.Time
	// SoftwareRows is how many software rows it states, or -1 for none.
	SoftwareRows int
	// Void are the paths of fields whose value in it says nothing: placeholders,
	// which count only where nobody says better.
	Void []string
	// Heard is when the source last gave a sign that what it says still holds,
	// zero for when it made the observation.
	Heard time.Time
	// Listing is what a machine says of a thing that is attached to it, nil for any
	// other statement.
	Listing *Listing
}

func (s *Statement) heard() time.Time {
	if s.Heard.IsZero() {
		return s.Observation.GetObservedAt().AsTime()
	}
	return s.Heard
}

// Merge returns the asset that the statements make by the default table.
func Merge(id string, redirects []string, stmts []Statement) *pb.Asset {
	return DefaultTable().Merge(id, redirects, stmts)
}

// Merge returns the asset that the statements make, with the given id and the
// ids that were united into it. The result does not depend on the order of the
// statements. The asset shares messages with the observations: neither may be
// modified afterwards. Its provenance has one entry for a group of fields that
// come from one statement; Expand gives each field its own.
func (t *Table) Merge(id string, redirects []string, stmts []Statement) *pb.Asset {
	stmts = slices.Clone(stmts)
	slices.SortFunc(stmts, compareStatements)
	a := &pb.Asset{Id: id, Redirects: redirects, Provenance: make(map[string]*pb.Provenance, 64)}
	m := merger{asset: a, table: t, mayBeStale: t.mayBeStale(stmts)}
	var devices []said
	for i := range stmts {
		s := &stmts[i]
		o := s.Observation
		if d := o.GetDevice(); d != nil {
			devices = append(devices, said{msg: d.ProtoReflect(), stmt: s, from: &pb.Provenance{
				Source: o.GetSource(), SourceId: o.GetSourceId(), ObservedAt: o.GetObservedAt()}})
		}
		a.Sources = append(a.Sources, &pb.AssetSource{
			Source: o.GetSource(), Kind: s.Kind, SourceId: o.GetSourceId(),
			FirstSeen: timestamppb.New(s.FirstSeen), LastSeen: o.GetObservedAt()})
	}
	m.group(a.ProtoReflect(), t.root, devices)
	m.labels(devices)
	m.warranties(devices)
	m.software(devices)
	attach(a, stmts)
	derive(a, stmts)
	return a
}

// compareStatements is the order in which an asset lists its sources.
func compareStatements(a, b Statement) int {
	return cmp.Or(strings.Compare(a.Observation.GetSource(), b.Observation.GetSource()),
		strings.Compare(a.Observation.GetSourceId(), b.Observation.GetSourceId()))
}

// said is one source's message at one level of the tree.
type said struct {
	msg  protoreflect.Message
	stmt *Statement
	from *pb.Provenance
}

type merger struct {
	asset *pb.Asset
	table *Table
	// mayBeStale is not set where no statement can be stale to another.
	mayBeStale bool
}

// group fills dst, the message that f stands for, from what the sources say.
func (m *merger) group(dst protoreflect.Message, f *field, sources []said) {
	if len(sources) == 1 {
		one := sources[0]
		one.msg.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			c := f.below[fd.Number()]
			if c == nil {
				return true
			}
			dst.Set(c.dst, v)
			m.asset.Provenance[c.path] = one.from
			return true
		})
		return
	}
	for _, c := range f.order {
		var with []said
		for _, s := range sources {
			if s.msg.Has(c.src) {
				with = append(with, s)
			}
		}
		if with = meaningful(with, c.path); len(with) == 0 {
			continue
		}
		c.rule.sort(with, m.mayBeStale)
		if c.below != nil {
			m.subgroup(dst, c, with)
			continue
		}
		m.value(dst, c, with)
	}
}

// meaningful leaves out the sources whose value of a field says nothing, unless
// nobody's says anything.
func meaningful(with []said, path string) []said {
	void := func(s said) bool { return slices.Contains(s.stmt.Void, path) }
	if !slices.ContainsFunc(with, void) || !slices.ContainsFunc(with, func(s said) bool { return !void(s) }) {
		return with
	}
	return slices.DeleteFunc(slices.Clone(with), void)
}

// subgroup fills one group from the sources that have it.
func (m *merger) subgroup(dst protoreflect.Message, c *field, with []said) {
	if len(with) == 1 {
		dst.Set(c.dst, with[0].msg.Get(c.src))
		m.asset.Provenance[c.path] = with[0].from
		return
	}
	sub := dst.NewField(c.dst)
	inner := make([]said, len(with))
	for i, s := range with {
		inner[i] = said{msg: s.msg.Get(c.src).Message(), stmt: s.stmt, from: s.from}
	}
	m.group(sub.Message(), c, inner)
	dst.Set(c.dst, sub)
}

// value takes the best source's value whole, and keeps those that disagree.
func (m *merger) value(dst protoreflect.Message, c *field, with []said) {
	best := with[0].msg.Get(c.src)
	dst.Set(c.dst, best)
	m.asset.Provenance[c.path] = with[0].from
	if c.src.IsList() || c.src.IsMap() {
		return
	}
	conflict := &pb.Conflict{Field: c.path}
	for i, s := range with {
		v := s.msg.Get(c.src)
		if i > 0 && v.Equal(best) {
			continue
		}
		conflict.Values = append(conflict.Values, &pb.ConflictValue{Value: plain(c.src, v),
			Source: s.from.GetSource(), SourceId: s.from.GetSourceId(), ObservedAt: s.from.GetObservedAt()})
	}
	if len(conflict.Values) > 1 {
		m.asset.Conflicts = append(m.asset.Conflicts, conflict)
	}
}

// labels takes each label from the best source that has it.
func (m *merger) labels(devices []said) {
	m.table.apart["labels"].sort(devices, m.mayBeStale)
	for _, d := range devices {
		for k, v := range d.stmt.Observation.GetDevice().GetLabels() {
			if _, ok := m.asset.Labels[k]; ok {
				continue
			}
			if m.asset.Labels == nil {
				m.asset.Labels = make(map[string]string)
			}
			m.asset.Labels[k] = v
			m.asset.Provenance["labels."+k] = d.from
		}
	}
}

// warranties lists what all sources know, and puts the one that ends last on
// top.
func (m *merger) warranties(devices []said) {
	m.table.apart["warranties"].sort(devices, m.mayBeStale)
	for _, d := range devices {
		device := d.stmt.Observation.GetDevice()
		all := device.GetWarranties()
		if device.GetWarranty() != nil {
			all = append(slices.Clone(all), device.GetWarranty())
		}
		for _, w := range all {
			if slices.ContainsFunc(m.asset.Warranties, func(have *pb.Warranty) bool { return proto.Equal(have, w) }) {
				continue
			}
			m.asset.Warranties = append(m.asset.Warranties, w)
			if m.asset.Warranty == nil || w.GetEnd() > m.asset.Warranty.GetEnd() {
				m.asset.Warranty = w
				m.asset.Provenance["warranty"] = d.from
			}
		}
	}
}

// software counts the rows of the best source that states any.
func (m *merger) software(devices []said) {
	m.table.apart["software"].sort(devices, m.mayBeStale)
	for _, d := range devices {
		if d.stmt.SoftwareRows < 0 {
			continue
		}
		m.asset.SoftwareCount = proto.Int32(int32(d.stmt.SoftwareRows))
		m.asset.Provenance["software"] = d.from
		return
	}
}
