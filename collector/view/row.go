package view

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// put makes an asset a row, or takes its row away where it is nil.
func (v *View) put(id string, sequence uint64, a *pb.Asset) {
	v.change()
	at := v.assets[id]
	at.sequence = sequence
	if a == nil {
		if at.here {
			v.count(at.group, -1)
			v.remove(at)
		}
		v.assets[id] = place{sequence: sequence}
		return
	}
	if !at.here {
		at.row, at.here = v.newRow(), true
		v.size++
		v.ids.set(at.row, id, v.epoch)
	} else {
		v.count(at.group, -1)
	}
	at.group = Group{Class: a.GetClass(), OSFamily: a.GetOs().GetFamily(), Stage: a.GetStage()}
	v.count(at.group, 1)
	v.fill(at.row, a)
	v.follow(&at, a)
	v.assets[id] = at
}

// count counts an asset in or out of its group, so that nobody has to go through
// all to tell how many there are.
func (v *View) count(g Group, n int) {
	if v.groups[g] += n; v.groups[g] == 0 {
		delete(v.groups, g)
	}
}

func (v *View) newRow() uint32 {
	if n := len(v.free); n > 0 {
		row := v.free[n-1]
		v.free = v.free[:n-1]
		return row
	}
	v.rows++
	return v.rows - 1
}

// remove takes an asset's row away.
func (v *View) remove(at place) {
	v.size--
	v.free = append(v.free, at.row)
	for i := range v.values {
		v.values[i] = v.values[i][:0]
	}
	v.write(at.row)
	v.ids.set(at.row, "", v.epoch)
	v.owners.set(at.row, "")
	v.retext(at.row, "")
	v.see(at.row, nil)
	v.setTitles(at.row, "")
	delete(v.stale, at.row)
	v.unfollow(at)
}

// fill writes an asset into the columns of a row.
func (v *View) fill(row uint32, a *pb.Asset) {
	encoded, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(v.encoded[:0], a)
	if err != nil {
		// Only text that is not UTF-8 cannot be encoded, and what was stored has none.
		encoded = v.encoded[:0]
	}
	v.encoded = encoded
	v.schema.split(encoded, v.values)
	v.values[kindsColumn] = appendKinds(v.values[kindsColumn], a)
	v.write(row)
	v.owners.set(row, whoseAddress(a))
	if text := searchText(a); v.text.get(row) != text {
		v.retext(row, text)
	}
}

// retext sets what the search looks into.
func (v *View) retext(row uint32, text string) {
	v.text.set(row, text, v.epoch)
	v.sketches.set(row, sketchOf(text), v.epoch)
}

// appendKinds encodes the sources of an asset as their kinds alone.
func appendKinds(b []byte, a *pb.Asset) []byte {
	var kinds []string
	for _, s := range a.GetSources() {
		if !slices.Contains(kinds, s.GetKind()) {
			kinds = append(kinds, s.GetKind())
		}
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		inner := protowire.AppendString(protowire.AppendTag(nil, fieldSourceKind, protowire.BytesType), k)
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldSources, protowire.BytesType), inner)
	}
	return b
}

// Field numbers of Asset and AssetSource.
const (
	fieldSources    = protowire.Number(9)
	fieldSourceKind = protowire.Number(2)
)

// write stores v.values in a row.
func (v *View) write(row uint32) {
	for i := range v.columns {
		c, d := &v.columns[i], v.dictionaries[i]
		before := c.get(row)
		if d.values[before] == string(v.values[i]) {
			continue
		}
		d.drop(before)
		c.set(row, d.use(v.values[i]), v.epoch)
		if d.crowded() {
			v.compact(i)
		}
	}
}

// compact makes the dictionary of a column anew.
func (v *View) compact(i int) {
	d, moved := v.dictionaries[i].compact()
	var c cow[uint32]
	for row := range v.rows {
		if code := moved[v.columns[i].get(row)]; code != 0 {
			c.set(row, code, v.epoch)
		}
	}
	v.dictionaries[i], v.columns[i] = d, c
}

// follow notes of which sources an asset is made, when they were heard of, and
// whose software counts.
func (v *View) follow(at *place, a *pb.Asset) {
	sources := make([]store.Ref, len(a.GetSources()))
	for i, s := range a.GetSources() {
		sources[i] = store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}
	}
	if !slices.Equal(sources, at.sources) {
		v.unfollow(*at)
		at.sources = sources
	}
	times := make([]int64, len(sources))
	for i, ref := range sources {
		v.refs[ref] = sourceAt{row: at.row, index: i}
		if v.catalog == nil {
			continue
		}
		if t, ok := v.catalog.LastSeen(ref); ok {
			times[i] = t.Unix()
		}
	}
	if !slices.Equal(times, v.seen.get(at.row)) {
		v.see(at.row, times)
	}
	var software store.Ref
	if p := a.GetProvenance()["software"]; p != nil {
		software = store.Ref{Source: p.GetSource(), ID: p.GetSourceId()}
	}
	if software == at.held.ref {
		return
	}
	if at.held = (held{ref: software}); software == (store.Ref{}) {
		delete(v.stale, at.row)
		v.setTitles(at.row, "")
		return
	}
	v.staleSoftware(at.row)
}

func (v *View) unfollow(at place) {
	for _, ref := range at.sources {
		if v.refs[ref].row == at.row {
			delete(v.refs, ref)
		}
	}
}
