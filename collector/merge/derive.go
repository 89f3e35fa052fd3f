package merge

import (
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// derive fills the fields that no source states.
func derive(a *pb.Asset, stmts []Statement) {
	for i, s := range stmts {
		if at := s.FirstSeen; i == 0 || at.Before(a.FirstSeen.AsTime()) {
			a.FirstSeen = timestamppb.New(at)
		}
		if at := s.Observation.GetObservedAt(); at != nil && (a.LastSeen == nil || at.AsTime().After(a.LastSeen.AsTime())) {
			a.LastSeen = at
		}
	}
	if a.Name == "" {
		a.Name = firstOf(a.GetNetwork().GetHostname(), a.GetHardware().GetSerial(), a.GetHardware().GetModel())
	}
	if a.Class == "" {
		a.Class = classOf(a)
	}
	if a.Stage == "" {
		a.Stage = stageOf(stmts)
	}
	if a.StageSince == nil {
		a.StageSince = a.FirstSeen
	}
	if size, free := a.GetStorage().GetSystemSizeBytes(), a.GetStorage().GetSystemFreeBytes(); a.GetStorage() != nil {
		// The message is shared with the observation: change a copy.
		a.Storage = proto.CloneOf(a.Storage)
		a.Storage.SystemFreePct = nil
		if size > 0 && free >= 0 && free <= size {
			a.Storage.SystemFreePct = proto.Float64(math.Round(float64(free)/float64(size)*1000) / 10)
		}
	}
}

func firstOf(values ...string) string {
	i := slices.IndexFunc(values, func(v string) bool { return v != "" })
	if i < 0 {
		return ""
	}
	return values[i]
}

// classes maps chassis types, as SMBIOS names them (DSP0134, 7.4.1), to
// classes.
var classes = map[string]string{
	"notebook": "laptop", "laptop": "laptop", "portable": "laptop", "sub notebook": "laptop", "convertible": "laptop", "detachable": "laptop",
	"desktop": "desktop", "low profile desktop": "desktop", "mini tower": "desktop", "tower": "desktop", "space-saving": "desktop",
	"all in one": "desktop", "pizza box": "desktop", "lunch box": "desktop", "mini pc": "desktop", "stick pc": "desktop",
	"main server chassis": "server", "rack mount chassis": "server", "blade": "server", "blade enclosure": "server", "multi-system chassis": "server",
	"tablet": "tablet", "hand held": "phone", "iot gateway": "iot", "embedded pc": "iot",
}

// classOf guesses the class from what the machine is.
func classOf(a *pb.Asset) string {
	hw := a.GetHardware()
	switch {
	case hw.GetCloud().GetInstanceId() != "":
		return "cloud_instance"
	case hw.GetVirtual():
		return "virtual_machine"
	case classes[hw.GetChassis()] != "":
		return classes[hw.GetChassis()]
	}
	switch a.GetOs().GetFamily() {
	case "ios", "android":
		return "phone"
	case "ipados":
		return "tablet"
	}
	if hw.GetBattery() != nil {
		return "laptop"
	}
	return "other"
}

// stageOf tells where an asset stands when nobody says: one that reports, or
// that a system reports on, is in use; one that was only bought is ordered.
func stageOf(stmts []Statement) string {
	for _, s := range stmts {
		switch s.Kind {
		case KindAgent, KindMDM, KindEDR, KindCloud, KindIDP, KindHost:
			return "deployed"
		}
	}
	for _, s := range stmts {
		if s.Kind == KindPurchasing {
			return "ordered"
		}
	}
	return ""
}

// plain returns a value as JSON has it.
func plain(fd protoreflect.FieldDescriptor, v protoreflect.Value) *structpb.Value {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return structpb.NewStringValue(v.String())
	case protoreflect.BoolKind:
		return structpb.NewBoolValue(v.Bool())
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return structpb.NewNumberValue(v.Float())
	case protoreflect.Int32Kind:
		return structpb.NewNumberValue(float64(v.Int()))
	case protoreflect.MessageKind:
		switch m := v.Message().Interface().(type) {
		case *timestamppb.Timestamp:
			return structpb.NewStringValue(m.AsTime().Format(time.RFC3339Nano))
		case *pb.Money:
			return structpb.NewStringValue(m.GetAmount() + " " + m.GetCurrency())
		}
	}
	// 64-bit integers are text in protobuf's JSON, too.
	return structpb.NewStringValue(v.String())
}
