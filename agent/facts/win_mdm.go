package facts

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnWinMDM tells who manages the machine. Windows keeps a key for every
// enrolment there ever was, also for those of mere accounts at work: one counts
// that is in force, names its server, and has ever been in touch or still says
// whose it is.
func learnWinMDM(_ context.Context, h *host.Host, d *pb.Device) error {
	const key, enrolled = softwareHive + `Microsoft\Enrollments`, 1
	r := &winreg{h: h}
	if !r.key(key).found() {
		return r.err(false, "no enrolments are listed")
	}
	d.Mdm = &pb.Mdm{Enrolled: proto.Bool(false)}
	for _, id := range r.key(key).subkeys() {
		k := r.key(key, `\`, id)
		server := k.text("DiscoveryServiceFullURL")
		account := r.key(softwareHive, `Microsoft\Provisioning\OMADM\Accounts\`, id)
		if !k.is("EnrollmentState", enrolled) || k.text("ProviderID") == "" || server == "" && !account.found() {
			continue
		}
		m := &pb.Mdm{Enrolled: proto.Bool(true), Vendor: mdmVendor(k.text("ProviderID"), server), ServerUrl: server, Id: strings.Trim(id, "{}")}
		m.LastCheckIn = stamp(omaTime(r.key(softwareHive, `Microsoft\Provisioning\OMADM\Accounts\`, id, `\Protected\ConnInfo`).text("ServerLastSuccessTime")))
		// Of several, the one that was in touch last.
		if !d.Mdm.GetEnrolled() || m.LastCheckIn.GetSeconds() > d.Mdm.LastCheckIn.GetSeconds() {
			d.Mdm = m
		}
	}
	return r.bad.err()
}

// mdmVendor returns the name of a service, of which Intune has one that could
// be anyone's.
func mdmVendor(provider, server string) string {
	if provider == "MS DM Server" || strings.Contains(strings.ToLower(server), ".manage.microsoft.com") {
		return "intune"
	}
	return strings.ToLower(provider)
}

// omaTime reads the time of a session: 20240131T083000Z.
func omaTime(text string) time.Time {
	t, err := time.Parse("20060102T150405Z", text)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t
}
