// Package privacy takes out of an observation what the device's settings
// withhold, before it leaves the device.
package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Levels of what is told of a section.
const (
	Full   = "full"
	Hashed = "hashed"
	Omit   = "omit"
)

// MinKey is how many bytes the key of the hashes has at least.
const MinKey = 16

// Settings say what to withhold. The zero value withholds nothing.
type Settings struct {
	// Levels are those of sections, by name; one that is not there is full.
	Levels map[string]string
	// BYOD: the device is its user's own, whose personal applications and
	// browser extensions are nobody's business.
	BYOD bool
	// Key makes the hashes; devices that have the same key hash equal names
	// alike.
	Key []byte
}

// Check says what is wrong with the settings, nil if nothing is.
func (s Settings) Check() error {
	for _, name := range slices.Sorted(maps.Keys(s.Levels)) {
		level := s.Levels[name]
		switch {
		case !section.Known(name):
			return fmt.Errorf("privacy: there is no section %.40q: want some of %s", name, strings.Join(section.Names(), ", "))
		case level == Full || level == Hashed && slices.Contains(hashable(), name):
		case level == Hashed:
			return fmt.Errorf("privacy: %s cannot be hashed, only %s can", name, strings.Join(hashable(), ", "))
		case level != Omit:
			return fmt.Errorf("privacy: %s: %.40q: want full, hashed or omit", name, level)
		case name == section.Hardware || name == section.OS:
			return fmt.Errorf("privacy: %s cannot be omitted, since the asset is known by it", name)
		}
	}
	if s.Hashes() && len(s.Key) < MinKey {
		return fmt.Errorf("privacy: what is hashed needs a key of %d bytes or more: give privacy_key_file", MinKey)
	}
	return nil
}

// Hashes tells whether a section is hashed, which takes a key.
func (s Settings) Hashes() bool { return s.any(Hashed) }

func (s Settings) any(level string) bool {
	return slices.Contains(slices.Collect(maps.Values(s.Levels)), level)
}

// Apply returns the observation without what is withheld; the original stays
// as it is. Settings that Check refuses are an error, and nothing is returned.
func (s Settings) Apply(o *pb.Observation) (*pb.Observation, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if o.GetDevice() == nil {
		return nil, errors.New("privacy: the observation is not one of a device")
	}
	users := s.Levels[section.Users]
	hide := users == Hashed || users == Omit
	if !s.Hashes() && !s.BYOD && !s.any(Omit) {
		return o, nil
	}
	out := &observed{Observation: proto.CloneOf(o)}
	if s.BYOD {
		out.withoutPersonal()
	}
	if hide {
		out.withoutNames(s.pseudonym())
	}
	for _, name := range section.Names() {
		switch level := s.Levels[name]; {
		case level == Omit:
			out.withoutSection(name)
		case level == Hashed && name != section.Users:
			out.withHashes(name, s.hash)
		}
	}
	return out.Observation, nil
}

// pseudonym returns what stands for the name of a person.
func (s Settings) pseudonym() func(name string) string {
	if s.Levels[section.Users] == Omit {
		return func(string) string { return "" }
	}
	return s.hash
}

// hash returns what stands for a name. Systems do not tell Ann from ann.
func (s Settings) hash(name string) string {
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte(strings.ToLower(strings.TrimSpace(name))))
	return "hmac-" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// observed is an observation that things are taken out of.
type observed struct{ *pb.Observation }

// because adds to the reason of a section's state; sections that have no
// content need none.
func (o *observed) because(name, reason string) {
	for _, s := range o.Sections {
		if s.GetName() == name && (s.GetState() == section.Complete || s.GetState() == section.Partial) {
			s.Reason = strings.TrimPrefix(s.GetReason()+"; "+reason, "; ")
		}
	}
}

// withoutSection empties a section. It is complete then, so that the collector
// forgets what it was told before the settings were made.
func (o *observed) withoutSection(name string) {
	section.Replace(o.GetDevice(), new(pb.Device), name)
	o.Problems = slices.DeleteFunc(o.Problems, func(p *pb.Problem) bool { return p.GetSection() == name })
	withheld := &pb.SectionStatus{Name: name, State: section.Complete, Reason: "withheld by the device's privacy settings"}
	at := slices.IndexFunc(o.Sections, func(s *pb.SectionStatus) bool { return s.GetName() == name })
	if at < 0 {
		o.Sections = append(o.Sections, withheld)
		return
	}
	o.Sections[at] = withheld
}

// withoutPersonal takes out software that lies in somebody's home, and browser
// extensions, which tell what people do.
func (o *observed) withoutPersonal() {
	d := o.GetDevice()
	d.Software = slices.DeleteFunc(d.Software, func(row *pb.Software) bool {
		return row.GetKind() == "browser_extension" || inHome(row.GetLocation())
	})
	o.Problems = slices.DeleteFunc(o.Problems, func(p *pb.Problem) bool { return p.GetFact() == "browser_extensions" })
	o.because(section.Software, "personal applications and browser extensions are withheld, since the device is its user's own")
}

// withoutNames replaces names of people wherever they are told: a name becomes
// what pseudonym says, or goes where that is nothing.
func (o *observed) withoutNames(pseudonym func(string) string) {
	d := o.GetDevice()
	how := "names of people are hashed"
	if pseudonym("x") == "" {
		how = "names of people are withheld"
	}
	if u := d.GetPrimaryUser(); u != nil {
		u.Name, u.Email = replaced(u.GetName(), pseudonym), replaced(u.GetEmail(), pseudonym)
	}
	o.because(section.Users, how)
	if s := d.GetSecurity(); len(s.GetLocalAdmins()) > 0 {
		var names []string
		for _, name := range s.GetLocalAdmins() {
			if n := replaced(name, pseudonym); n != "" {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		s.LocalAdmins = names
		o.because(section.Security, how)
	}
	eachText(o.ProtoReflect(), func(text string) string { return withoutHomes(text, pseudonym) })
}

func replaced(name string, pseudonym func(string) string) string {
	if name == "" {
		return ""
	}
	return pseudonym(name)
}
