package facts

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	logonKey = windowsKey + `Authentication\LogonUI`
	// workplaceKey is below the part of the registry of whoever is logged on.
	workplaceKey = `\Software\Microsoft\Windows NT\CurrentVersion\WorkplaceJoin\JoinInfo`
	explorerKey  = `Software\Microsoft\Windows\CurrentVersion\Explorer`
	identityKey  = softwareHive + `Microsoft\IdentityStore\Cache\`
)

// learnWinPrimaryUser tells who uses the machine: in front of whom programs stood
// for longest, of those that were used of late. Where that is not known, it is
// who was logged on last, or whose profile was loaded last. That somebody of the
// support has logged on does not make the machine his.
func learnWinPrimaryUser(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	defer r.close()
	last := r.lastLogon()
	if most, ok := r.mostUsed(); ok {
		user, upn := r.accountOf(most, last), ""
		if most.sid == last.sid {
			upn = last.upn
		}
		if user != "" {
			d.PrimaryUser = &pb.PrimaryUser{Name: r.localName(user), Email: r.email(most.sid, upn), Source: "usage"}
			return r.bad.err()
		}
	}
	if last.user == "" || last.sid != "" && !isPerson(last.sid) {
		last.sid = r.lastProfile()
		last.user = r.accountName(last.sid)
	}
	if last.user == "" {
		return r.err(false, "nobody was ever logged on")
	}
	d.PrimaryUser = &pb.PrimaryUser{Name: r.localName(last.user), Email: r.email(last.sid, last.upn), Source: "last_login"}
	return r.bad.err()
}

// logon is who was logged on last.
type logon struct {
	// user is DOMAIN\user, and upn can be an address.
	user, upn, sid string
}

func (r *winreg) lastLogon() logon {
	k := r.key(logonKey)
	out := logon{user: k.text("LastLoggedOnSAMUser"), upn: k.text("LastLoggedOnUser"), sid: k.text("LastLoggedOnUserSID")}
	if out.user == "" {
		out.user = out.upn
	}
	return out
}

// mostUsed returns the person in front of whom programs stood for longest, all
// that he used within loginDays of the last use by anybody.
func (r *winreg) mostUsed() (most person, ok bool) {
	var last time.Time
	// A clock that was wrong has left notes of times to come.
	tomorrow := r.h.Now().AddDate(0, 0, 1)
	uses := make([]lastUses, len(r.people()))
	for i, p := range r.people() {
		uses[i] = slices.DeleteFunc(p.uses(), func(u lastUse) bool { return u.at.After(tomorrow) })
		for _, u := range uses[i] {
			last = latest(last, u.at)
		}
	}
	var longest time.Duration
	for i, p := range r.people() {
		var front time.Duration
		for _, u := range uses[i] {
			if u.at.AddDate(0, 0, loginDays).After(last) {
				front += u.time
			}
		}
		if front > longest {
			most, longest, ok = p, front, true
		}
	}
	return most, ok
}

// accountOf returns DOMAIN\user of a person, or the user alone where nothing
// tells the domain. Accounts of one domain have all but the last number of their
// identifiers in common, so that the last logon tells its name.
func (r *winreg) accountOf(p person, last logon) string {
	if p.sid == last.sid && last.user != "" {
		return last.user
	}
	if name := r.identity(p.sid).text("SAMName"); name != "" {
		return name
	}
	env := p.key("Volatile Environment")
	domain, user := env.text("USERDOMAIN"), env.text("USERNAME")
	if user == "" {
		user = p.key(explorerKey).text("Logon User Name")
	}
	if user == "" {
		return r.accountName(p.sid)
	}
	if of, _, ok := strings.Cut(last.user, `\`); ok && domain == "" && authority(p.sid) == authority(last.sid) {
		domain = of
	}
	if domain != "" {
		user = domain + `\` + user
	}
	return user
}

// authority returns all of a security identifier but its last number.
func authority(sid string) string { return sid[:max(strings.LastIndexByte(sid, '-'), 0)] }

// localName returns an account without the name of the machine before it; that
// of a domain is part of it.
func (r *winreg) localName(user string) string {
	domain, name, ok := strings.Cut(user, `\`)
	if ok && (domain == "." || strings.EqualFold(domain, r.computerName())) {
		return name
	}
	return user
}

// computerName returns the machine's NetBIOS name.
func (r *winreg) computerName() string {
	return r.key(systemHive, `Control\ComputerName\ComputerName`).text("ComputerName")
}

// lastProfile returns whose profile was loaded last.
func (r *winreg) lastProfile() (sid string) {
	var last time.Time
	for _, id := range r.key(profilesKey).subkeys() {
		k := r.key(profilesKey, `\`, id)
		at := k.fileTimeParts("LocalProfileLoadTimeHigh", "LocalProfileLoadTimeLow")
		if isPerson(id) && (sid == "" || at.After(last)) {
			sid, last = id, at
		}
	}
	return sid
}

// accountName returns the name of an account that has been here, as far as
// that shows: by the cache of identities, otherwise by the folder.
func (r *winreg) accountName(sid string) string {
	if sid == "" {
		return ""
	}
	if name := r.identity(sid).text("SAMName"); name != "" {
		return name
	}
	folder := r.profile(sid)
	return folder[strings.LastIndexByte(folder, '\\')+1:]
}

// identity returns what is kept of an account of Entra ID or Microsoft.
func (r *winreg) identity(sid string) regKey {
	return r.key(identityKey, sid, `\IdentityCache\`, sid)
}

// email returns the address that an account logs on with, "" for those that
// have none.
func (r *winreg) email(sid, user string) string {
	if sid != "" {
		if name := r.identity(sid).text("UserName"); strings.Contains(name, "@") {
			return name
		}
	}
	// An account at work that its user added to Windows: dsregcmd /status shows it
	// as WorkplaceJoined.
	if isPerson(sid) {
		joins := `HKU\` + sid + workplaceKey
		for _, join := range r.key(joins).subkeys() {
			if name := r.key(joins, `\`, join).text("UserEmail"); strings.Contains(name, "@") {
				return name
			}
		}
	}
	// MicrosoftAccount\ann@example.com, or the principal name of a domain.
	if name := user[strings.LastIndexByte(user, '\\')+1:]; strings.Contains(name, "@") {
		return name
	}
	return ""
}
