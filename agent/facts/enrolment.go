package facts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	landscapeState  = "var/lib/landscape/client/broker.bpickle"
	landscapeConfig = "etc/landscape/client.conf"
	jumpcloudConfig = "opt/jc/jcagent.conf"
	// intuneFile is what the agent of Intune keeps in the home of the person who
	// has enrolled the machine.
	intuneFile = ".config/intune/registration.toml"
	// maxEnrolment bounds all of these files.
	maxEnrolment = 4 << 20
)

// learnEnrolment tells whether the machine is enrolled in a service that
// manages Linux: Intune, Landscape or JumpCloud. Of several it is the first.
// Nothing is said of machines that have none of their agents.
func learnEnrolment(_ context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	for _, look := range []func(*host.Host, *faults) *pb.Mdm{intune, landscape, jumpcloud} {
		if m := look(h, bad); m != nil {
			d.Mdm = m
			return bad.err()
		}
	}
	return absent(bad.err(), "no agent of a service that manages machines")
}

// intune reads who has enrolled the machine: device_hint is Intune's own name
// of it, and is there once the enrolment is complete.
func intune(h *host.Host, bad *faults) *pb.Mdm {
	if !(&attributes{h: h}).has("opt/microsoft/intune") {
		return nil
	}
	for _, home := range userHomes(h, bad) {
		data, ok := homeFiles{h: h, home: home, bad: bad}.read(intuneFile, maxEnrolment)
		if id := settings(data)["device_hint"]; ok && id != "" {
			return &pb.Mdm{Enrolled: proto.Bool(true), Vendor: "intune", Id: id}
		}
	}
	return &pb.Mdm{Enrolled: proto.Bool(false), Vendor: "intune"}
}

// landscape reads the state of Landscape's client, for root only. A machine
// that was accepted has a secure-id there.
func landscape(h *host.Host, bad *faults) *pb.Mdm {
	config, err := h.ReadFile(landscapeConfig, maxEnrolment)
	if missing(err) {
		return nil
	}
	bad.add(err)
	m := &pb.Mdm{Vendor: "landscape", ServerUrl: withoutUser(first(decodeKeyFile(config)["client/url"], decodeKeyFile(config)["client/ping_url"]))}
	state, err := h.ReadFile(landscapeState, maxEnrolment)
	switch {
	case err == nil:
		m.Enrolled = proto.Bool(registered(state))
	case missing(err):
		m.Enrolled = proto.Bool(false)
	default:
		bad.add(err)
	}
	return m
}

// registered finds the secure-id in a bpickle, in which texts have a letter,
// their length and a colon before them: s is for bytes, u for text, n for none.
func registered(state []byte) bool {
	for {
		at := bytes.Index(state, []byte("9:secure-id"))
		if at < 0 {
			return false
		}
		state = state[at+len("9:secure-id"):]
		if len(state) > 3 && (state[0] == 's' || state[0] == 'u') && state[1] >= '1' && state[1] <= '9' {
			return true
		}
	}
}

// jumpcloud reads the name that JumpCloud has given the machine.
func jumpcloud(h *host.Host, bad *faults) *pb.Mdm {
	data, err := h.ReadFile(jumpcloudConfig, maxEnrolment)
	if missing(err) {
		return nil
	}
	var config struct {
		SystemKey string `json:"systemKey"`
	}
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		bad.add(fmt.Errorf("/%s: %w", jumpcloudConfig, err))
		return nil
	}
	id := softwareText([]byte(strings.TrimSpace(config.SystemKey)))
	return &pb.Mdm{Enrolled: proto.Bool(id != ""), Vendor: "jumpcloud", Id: id}
}
