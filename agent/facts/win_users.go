package facts

import (
	"context"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	logonKey = windowsKey + `Authentication\LogonUI`
	// workplaceKey is below the part of the registry of whoever is logged on.
	workplaceKey = `\Software\Microsoft\Windows NT\CurrentVersion\WorkplaceJoin\JoinInfo`
	identityKey  = softwareHive + `Microsoft\IdentityStore\Cache\`
)

// learnWinPrimaryUser tells who uses the machine: who was logged on last at
// it, otherwise whose profile was loaded last. Windows counts no days.
func learnWinPrimaryUser(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	k := r.key(logonKey)
	// SAM names are DOMAIN\user; the other can be an address.
	user := k.text("LastLoggedOnSAMUser")
	if user == "" {
		user = k.text("LastLoggedOnUser")
	}
	sid := k.text("LastLoggedOnUserSID")
	if user == "" || sid != "" && !isPerson(sid) {
		sid = r.lastProfile()
		user = r.accountName(sid)
	}
	if user == "" {
		return r.err(false, "nobody was ever logged on")
	}
	d.PrimaryUser = &pb.PrimaryUser{Name: r.localName(user), Email: r.email(sid, k.text("LastLoggedOnUser")), Source: "last_login"}
	return r.bad.err()
}

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
