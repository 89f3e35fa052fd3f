package catalog_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// What is odd and not wrong is taken, unites nothing by mistake and harms nobody
// else; what comes again or late changes nothing.
func TestOddObservationsAreTaken(t *testing.T) {
	f := setup(t)
	good := f.accept(t, observe("agent", "1", "SER-A1"))
	bare := func(id string) *pb.Observation {
		return &pb.Observation{Source: "jamf", SourceId: id, ObservedAt: timestamppb.New(epoch), Subject: &pb.Observation_Device{Device: &pb.Device{Name: "thing"}}}
	}
	if a, b := f.accept(t, bare("x")), f.accept(t, bare("y")); a == b || a == good {
		t.Error("records without any identifier are united")
	}
	if id := f.accept(t, &pb.Observation{Source: "jamf", SourceId: "empty", ObservedAt: timestamppb.New(epoch), Subject: &pb.Observation_Device{Device: &pb.Device{}}}); f.asset(t, id) == nil {
		t.Error("a record that says nothing is lost")
	}
	// One record that has the serials of two devices makes them one, and they are
	// two again without it.
	second := f.accept(t, observe("agent", "2", "SER-A2"))
	both := observe("abm", "po", "SER-A1")
	both.Identifiers = []*pb.Identifier{{Kind: "serial", Value: "SER-A2"}}
	f.accept(t, both)
	f.accept(t, &pb.Observation{Source: "abm", SourceId: "po", ObservedAt: timestamppb.New(epoch), Gone: true})
	one, two := f.asset(t, good), f.asset(t, second)
	if one.GetId() == two.GetId() || len(one.GetSources()) != 1 || len(two.GetSources()) != 1 {
		t.Errorf("after a contradiction was withdrawn: %v and %v", one.GetSources(), two.GetSources())
	}
}

func TestTenThousandAddressesUniteNobody(t *testing.T) {
	f := setup(t)
	hub := observe("agent", "hub", "SER-HUB1")
	for i := range 10_000 {
		hub.GetDevice().Network = &pb.Network{Interfaces: append(hub.GetDevice().GetNetwork().GetInterfaces(), &pb.Interface{Name: fmt.Sprint("e", i), Mac: fmt.Sprintf("52:54:00:00:%02x:%02x", i/256, i%256)})}
	}
	id := f.accept(t, hub)
	leaf := observe("agent", "leaf", "SER-LEAF")
	leaf.GetDevice().Network = &pb.Network{Interfaces: []*pb.Interface{{Name: "e0", Mac: "52:54:00:00:00:07"}}}
	if f.accept(t, leaf) == id {
		t.Error("a network address united two devices")
	}
	if n := len(f.asset(t, id).GetNetwork().GetInterfaces()); n != 10_000 {
		t.Errorf("%d addresses are kept", n)
	}
	hub.GetDevice().Network.Interfaces = append(hub.GetDevice().Network.Interfaces, &pb.Interface{Name: "more"})
	if _, err := f.c.Accept(t.Context(), hub); err == nil || !strings.Contains(err.Error(), "10001 items, at most 10000") {
		t.Errorf("one more is answered %v", err)
	}
}

// The same statement on two connections at once, an old one after a new one, and
// one that is repeated: there is one asset, as the newest statement has it, and
// one event.
func TestRepeatedLateAndConcurrentStatements(t *testing.T) {
	f := setup(t)
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			id, err := f.c.Accept(t.Context(), observe("agent", "1", "SER-A1"))
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one thing is both %s and %s", ids[0], id)
		}
	}
	before := f.picture(t)
	late := observe("agent", "1", "SER-A1")
	late.ObservedAt, late.GetDevice().Name = timestamppb.New(epoch.Add(-time.Hour)), "old name"
	if id := f.accept(t, proto.CloneOf(late)); id != ids[0] || f.asset(t, id).GetName() == "old name" {
		t.Error("a late statement holds")
	}
	f.accept(t, observe("agent", "1", "SER-A1"))
	if len(f.picture(t)) != len(before) {
		t.Error("a repeated statement made something")
	}
	f.sound(t)
}
