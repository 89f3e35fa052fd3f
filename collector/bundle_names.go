package main

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/collector/diagnose"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// plain are the fields of assets and people whose values are the words of a
// trade and name nobody; every other text is masked, also one of a field that
// comes with a later schema. A message is named where fields of that name differ.
var plain = fields(`os patch edr.vendor edr.version edr.state findings provenance storage cpu firmware apps
	class stage kind type status state source manufacturer model model_id chassis hypervisor vendor version provider region instance_type
	architecture family slot part_number bus method interval currency field Interface.name Disk.name Gpu.name Antivirus.name Software.name`)

func fields(list string) map[string]bool {
	m := make(map[string]bool)
	for _, f := range strings.Fields(list) {
		m[f] = true
	}
	return m
}

// offerTexts hands every text of a message that may name somebody or something
// to offer.
func offerTexts(m protoreflect.Message, offer func(string)) {
	name := string(m.Descriptor().Name())
	if c, ok := m.Interface().(*pb.Conflict); ok {
		path := strings.Split(c.GetField(), ".")
		if plain[path[0]] || plain[path[len(path)-1]] || plain[c.GetField()] {
			return
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		field := string(fd.Name())
		if plain[field] || plain[name+"."+field] || plain[strings.ToLower(name)+"."+field] {
			return true
		}
		switch {
		case fd.IsMap():
			if fd.MapValue().Kind() == protoreflect.StringKind {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					offer(v.String())
					return true
				})
			}
		case fd.Kind() == protoreflect.MessageKind && fd.IsList():
			for i := range v.List().Len() {
				offerTexts(v.List().Get(i).Message(), offer)
			}
		case fd.Kind() == protoreflect.MessageKind:
			offerTexts(v.Message(), offer)
		case fd.Kind() == protoreflect.StringKind && fd.IsList():
			for i := range v.List().Len() {
				offer(v.List().Get(i).String())
			}
		case fd.Kind() == protoreflect.StringKind:
			offer(v.String())
		}
		return true
	})
}

// fleetTexts are texts about the fleet, by the names of their parts.
type fleetTexts map[string]string

// logText is the part with the log's lines.
const logText = "log.txt"

// mask takes out of the texts whatever the store knows to name people and
// devices. Where the store cannot be asked, all that is not ours is withheld.
func (t fleetTexts) mask(ctx context.Context, st *store.Store, m *diagnose.Masker) {
	names := make(map[string]*diagnose.Names, len(t))
	for part, text := range t {
		names[part] = diagnose.NewNames(text)
	}
	offer := func(message proto.Message) error {
		offerTexts(message.ProtoReflect(), func(name string) {
			for _, n := range names {
				n.Offer(name)
			}
		})
		return ctx.Err()
	}
	err := st.View(ctx, func(tx *store.Tx) error {
		if err := tx.ScanAssets("", func(a *pb.Asset) error { return offer(a) }); err != nil {
			return err
		}
		return tx.ScanPeople("", func(p *adminpb.Person) error { return offer(p) })
	})
	for part, n := range names {
		text, maskErr := n.Mask(m)
		if err != nil {
			maskErr = err
		}
		if maskErr == nil {
			t[part] = text
			continue
		}
		text = "the rest is withheld, for what names people cannot be told: " + m.Foreign(maskErr.Error()) + "\n"
		if part == logText {
			text += diagnose.Heads(t[part])
		}
		t[part] = text
	}
}
