package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxAccountFile = 8 << 20
	// firstPerson and nobody bound the user ids that distributions give to
	// people; below are those of the system.
	firstPerson = 1000
	nobody      = 65534
	// loginDays is how far back logins count, from the last one on: a machine
	// that was handed on belongs to whoever uses it now.
	loginDays = 90
)

// account is a line of passwd.
type account struct {
	name     string
	uid, gid int64
}

// decodeAccounts reads a passwd file; a line that is none is left out.
func decodeAccounts(data []byte) []account {
	var out []account
	for line := range bytes.Lines(data) {
		f := strings.Split(string(bytes.TrimSpace(line)), ":")
		if len(f) < 4 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		uid, err1 := strconv.ParseInt(f[2], 10, 64)
		gid, err2 := strconv.ParseInt(f[3], 10, 64)
		if err1 == nil && err2 == nil {
			out = append(out, account{name: softwareText([]byte(f[0])), uid: uid, gid: gid})
		}
	}
	return out
}

// group is a line of the file of that name.
type group struct {
	name    string
	gid     int64
	members []string
}

func decodeGroups(data []byte) []group {
	var out []group
	for line := range bytes.Lines(data) {
		f := strings.Split(string(bytes.TrimSpace(line)), ":")
		if len(f) < 4 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		gid, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			continue
		}
		g := group{name: f[0], gid: gid}
		for _, m := range strings.Split(f[3], ",") {
			if m = softwareText([]byte(m)); m != "" {
				g.members = append(g.members, m)
			}
		}
		out = append(out, g)
	}
	return out
}

// readAccounts returns the machine's own accounts. It never asks the name
// service, which may answer with those of a whole company.
func readAccounts(h *host.Host) ([]account, error) {
	data, err := h.ReadFile("etc/passwd", maxAccountFile)
	if missing(err) {
		return nil, fmt.Errorf("no accounts: %w", errors.ErrUnsupported)
	}
	return decodeAccounts(data), err
}

// learnPrimaryUser names the person who uses the machine: who logged in on the
// most days of late, at the machine itself rather than over the network. Where
// no logins are kept it is who is logged in at the machine now.
func learnPrimaryUser(_ context.Context, h *host.Host, d *pb.Device) error {
	accounts, err := readAccounts(h)
	if err != nil {
		return err
	}
	people := func(name string) bool {
		i := slices.IndexFunc(accounts, func(a account) bool { return a.name == name })
		// Who is not in passwd comes from a directory, and is a person.
		return name != "" && (i < 0 || accounts[i].uid >= firstPerson && accounts[i].uid != nobody)
	}
	logins, err := readLogins(h)
	if name := mostUsed(logins, people); name != "" {
		d.PrimaryUser = &pb.PrimaryUser{Name: name, Email: principal(name), Source: "last_login"}
		return err
	}
	a := &attributes{h: h}
	const sessions = "run/systemd/sessions"
	for _, id := range a.names(sessions) {
		s := settings(a.raw(sessions, id))
		if s["CLASS"] == "user" && s["REMOTE"] == "0" && s["SEAT"] != "" && people(s["USER"]) {
			d.PrimaryUser = &pb.PrimaryUser{Name: s["USER"], Email: principal(s["USER"]), Source: "console"}
			break
		}
	}
	return errors.Join(err, a.bad.err())
}

// principal returns the name of an account that is a principal name, which those
// of Entra ID and Google have on Linux (authd, aad-auth, himmelblau), and those
// of a domain where SSSD is told to use full names; "" for any other. A name that
// fills its place in wtmp may have been cut there.
func principal(name string) string {
	user, domain, ok := strings.Cut(name, "@")
	if !ok || len(name) >= loginNameSize || user == "" || strings.Contains(domain, "@") || !strings.Contains(strings.Trim(domain, "."), ".") {
		return ""
	}
	return name
}

// readLogins returns the logins that the machine has kept, none where it keeps
// none: in the database that has replaced wtmp on newer systems, otherwise in
// wtmp, which can lie beside from before the system was upgraded.
func readLogins(h *host.Host) ([]login, error) {
	logins, err := readLoginDatabase(h.FS)
	if len(logins) > 0 {
		return logins, err
	}
	tail, size, terr := h.ReadTail("var/log/wtmp", maxLoginFile)
	if missing(terr) || terr == nil && size == 0 {
		return nil, err
	}
	if terr != nil {
		return nil, errors.Join(err, terr)
	}
	logins, terr = decodeLogins(tail, size)
	if terr != nil {
		terr = fmt.Errorf("/var/log/wtmp: %w", terr)
	}
	return logins, errors.Join(err, terr)
}

// mostUsed returns the name with the most days on which it logged in, of those
// that count as people.
func mostUsed(logins []login, people func(string) bool) string {
	const day = 24 * 60 * 60
	var newest int64
	for _, l := range logins {
		newest = max(newest, l.at)
	}
	type use struct {
		name               string
		local, days        int
		lastDay, lastLocal int64
	}
	var uses []*use
	for _, l := range logins {
		if l.at < newest-loginDays*day || !people(l.user) {
			continue
		}
		i := slices.IndexFunc(uses, func(u *use) bool { return u.name == l.user })
		if i < 0 {
			i = len(uses)
			uses = append(uses, &use{name: l.user, lastDay: -1, lastLocal: -1})
		}
		// Records are in the order of time.
		u, today := uses[i], l.at/day
		if u.lastDay != today {
			u.days, u.lastDay = u.days+1, today
		}
		if l.local() && u.lastLocal != today {
			u.local, u.lastLocal = u.local+1, today
		}
	}
	if len(uses) == 0 {
		return ""
	}
	best := slices.MinFunc(uses, func(a, b *use) int {
		return cmp.Or(-cmp.Compare(a.local, b.local), -cmp.Compare(a.days, b.days), -cmp.Compare(a.lastDay, b.lastDay), strings.Compare(a.name, b.name))
	})
	return best.name
}
