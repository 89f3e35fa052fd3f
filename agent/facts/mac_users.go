package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	macAdminsFile  = "var/db/dslocal/nodes/Default/groups/admin.plist"
	macLoginWindow = macPreferences + "/com.apple.loginwindow.plist"
	// macConsole is what last calls the machine's own screen.
	macConsole   = "console"
	maxMacAdmins = 1000
)

// learnMacAdmins lists the local members of the group of administrators, from
// the file of the local directory or, where that may not be read, by the
// directory's tool. No other directory is asked.
func learnMacAdmins(ctx context.Context, h *host.Host, d *pb.Device) error {
	p, err := readPlist(h, macAdminsFile)
	admins := p.Texts("users")
	if len(admins) == 0 {
		out, rerr := h.Run(ctx, macCommandAdmins)
		if rerr != nil {
			return cmp.Or(err, rerr)
		}
		admins = decodeMembership(string(out))
	}
	for i, a := range admins {
		admins[i] = plainText([]byte(a))
	}
	slices.Sort(admins)
	admins = slices.Compact(admins)
	if len(admins) == 0 {
		return cmp.Or(err, fmt.Errorf("no administrators: %w", errors.ErrUnsupported))
	}
	security(d).LocalAdmins = admins[:min(len(admins), maxMacAdmins)]
	return nil
}

// decodeMembership reads "GroupMembership: root ann".
func decodeMembership(text string) []string {
	_, names, _ := strings.Cut(text, "GroupMembership:")
	return strings.Fields(names)
}

// learnMacPrimaryUser names the person who uses the machine: who was logged in
// at its screen on the most days of late, otherwise who was the last to be.
func learnMacPrimaryUser(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandLast)
	if name := mostUsed(decodeLast(out, h.Now()), macPerson); name != "" {
		d.PrimaryUser = &pb.PrimaryUser{Name: name, Source: "last_login"}
		return nil
	}
	p, perr := readPlist(h, macLoginWindow)
	if name := plainText([]byte(p.Text("lastUserName"))); macPerson(name) {
		d.PrimaryUser = &pb.PrimaryUser{Name: name, Source: "console"}
		return nil
	}
	return cmp.Or(perr, err, fmt.Errorf("nobody has logged in: %w", errors.ErrUnsupported))
}

// macPerson tells whether a login name is a person's: those of services begin
// with an underline.
func macPerson(name string) bool {
	return name != "" && !strings.HasPrefix(name, "_") && !slices.Contains([]string{"root", "daemon", "nobody", "reboot", "shutdown", "wtmp", "utx.log", "loginwindow", "Guest"}, name)
}

// decodeLast reads what last prints, the latest login first:
// "ann  console  Tue Nov 24 08:59   still logged in", with the name of another
// machine before the day where it was from there. It prints no years, so that
// they are counted back from now. The logins are returned in the order of time.
func decodeLast(out []byte, now time.Time) []login {
	var logins []login
	before := now.UTC().Add(24 * time.Hour)
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		at := slices.IndexFunc(f, isWeekday)
		if at < 2 || at > 3 || len(f) < at+4 {
			continue
		}
		t, err := time.Parse("Jan 2 15:04 2006", strings.Join(f[at+1:at+4], " ")+before.Format(" 2006"))
		if err != nil {
			continue
		}
		if t.After(before) {
			t = t.AddDate(-1, 0, 0)
		}
		before = t.Add(time.Hour)
		l := login{user: softwareText([]byte(f[0])), line: softwareText([]byte(f[1])), at: t.Unix()}
		if at == 3 {
			l.host, l.line = softwareText([]byte(f[2])), "remote"
		}
		logins = append(logins, l)
	}
	slices.Reverse(logins)
	return logins
}

// isWeekday tells whether a word begins a date.
func isWeekday(word string) bool {
	return slices.Contains([]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, word)
}

// learnMacScreenLock tells after how long the screen locks itself. What people
// set of it themselves lies partly in their keychain: what is told is what is
// managed, and of them how long it takes until the screen saver starts.
func learnMacScreenLock(_ context.Context, h *host.Host, d *pb.Device) error {
	managed, err := readPlist(h, macManaged+"/com.apple.screensaver.plist")
	if err != nil {
		return err
	}
	user, err := macUserScreenSaver(h)
	lock := macScreenLock(managed, user)
	if lock == nil {
		return cmp.Or(err, fmt.Errorf("nothing that can be read tells of the screen lock: %w", errors.ErrUnsupported))
	}
	security(d).ScreenLock = lock
	return nil
}

// macScreenLock sums up what is managed and what a person set, which counts
// where nothing is managed. A screen saver that starts after 0 seconds never
// does.
func macScreenLock(managed, user proplist.Dict) *pb.ScreenLock {
	value := func(keys ...string) (int64, bool) {
		if n, ok := managed.Integer(keys...); ok {
			return n, true
		}
		return user.Integer(keys...)
	}
	asks, known := managed.Bool("askForPassword")
	if !known {
		asks, known = user.Bool("askForPassword")
	}
	idle, hasIdle := value("idleTime", "loginWindowIdleTime")
	delay, _ := value("askForPasswordDelay")
	switch {
	case hasIdle && idle == 0, known && !asks:
		return &pb.ScreenLock{State: "off"}
	case !known || !hasIdle || idle < 0 || idle > 1<<30 || delay < 0 || delay > 1<<30:
		return nil
	}
	return &pb.ScreenLock{State: "on", Seconds: proto.Int32(int32(idle + delay))}
}

// macUserScreenSaver returns the settings of the person who was last to log in,
// which are kept for each machine apart.
func macUserScreenSaver(h *host.Host) (proplist.Dict, error) {
	p, err := readPlist(h, macLoginWindow)
	user := p.Text("lastUserName")
	if user == "" || !fs.ValidPath(user) || strings.Contains(user, "/") {
		return nil, err
	}
	const name = "com.apple.screensaver"
	dir := path.Join("Users", user, macPreferences)
	own, err := readPlist(h, path.Join(dir, name+".plist"))
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(h.FS, path.Join(dir, "ByHost"))
	if err != nil && !missing(err) {
		return own, err
	}
	out := proplist.Dict{}
	maps.Copy(out, own)
	layers := []string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name+".") && path.Ext(e.Name()) == ".plist" {
			layers = append(layers, path.Join(dir, "ByHost", e.Name()))
		}
	}
	// What is managed for this person alone overrules what they set.
	for _, layer := range append(layers, path.Join(macManaged, user, name+".plist")) {
		here, err := readPlist(h, layer)
		if err != nil {
			return out, err
		}
		maps.Copy(out, here)
	}
	return out, nil
}
