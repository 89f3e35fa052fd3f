package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestSerialsAreOneHoweverTheyAreWritten(t *testing.T) {
	for _, tc := range []struct {
		maker, value, want string
	}{
		{"Dell Inc.", " 5xk2j93\u200b", "5XK2J93"},
		{"Dell Inc.", "12125137719", "5KIZS53"}, // the express service code of that tag
		{"", "12125137719", "12125137719"},      // of no known maker, a number is a number
		{"LENOVO", "1S20XW003LGEPF2XK9AB", "PF2XK9AB"},
		{"", "1S20XW003LGEPF2XK9AB", "PF2XK9AB"},
		{"LENOVO", "pf-2xk9ab", "PF2XK9AB"},
		{"Apple Inc.", "SC02ABC123DEF", "C02ABC123DEF"},
		{"Apple", "SABC12345", "SABC12345"},
		{"Micro-Star International", "000123456789", ""}, // a counter, as firmware left it
		{"Microsoft Corporation", "000912345678", "912345678"},
		{"VMware, Inc.", "VMware-56 4d d1 1f 26 aa-bb cc", "VMWARE564DD11F26AABBCC"},
		{"HP", "1.23457E+11", ""},
		{"", "Prüf-12345", "PRüF12345"},
	} {
		got := ""
		keys, _ := keysOf(device(tc.maker, tc.value, ""))
		for _, k := range keys {
			if k.Kind == Serial && (got == "" || k.Value == tc.want) {
				got = k.Value
			}
		}
		if got != tc.want {
			t.Errorf("%q of %q is compared as %q, want %q", tc.value, tc.maker, got, tc.want)
		}
	}
}

func TestKindsAndTheirForms(t *testing.T) {
	for _, tc := range []struct {
		kind, scope, value string
		want               Key // zero where it is none
	}{
		{IMEI, "", "35 209900 176148 1", Key{IMEI, "", "35209900176148"}},
		{IMEI, "", "3520990017614823", Key{IMEI, "", "35209900176148"}}, // with a software version
		{IMEI, "", "352099001761482", Key{}},                            // check digit
		{IMEI, "", "35209900176148A", Key{}},
		{UDID, "", "4C4C4544-0058-4B10-8032-B5C04F4A3933", Key{UUID, "", "44454c4c-5800-104b-8032-b5c04f4a3933"}},
		{UDID, "", "00008103-001129C03A68801E", Key{UDID, "", "00008103001129c03a68801e"}},
		{CloudInstance, "Amazon EC2", "i-0ABC", Key{CloudInstance, "aws", "i-0abc"}},
		{CloudInstance, "", "i-0ABC", Key{}},
		{MDM, "jamf", "123", Key{}}, // counts within one server only
		{MDM, "jamf@jamf.example.com", "123", Key{MDM, "jamf@jamf.example.com", "123"}},
		{MDM, "intune@manage.microsoft.com", "2714b318-2369-4bcd-8659-384bcfb91fea", Key{MDM, "intune", "2714b31823694bcd8659384bcfb91fea"}},
		{EDR, "CrowdStrike", "5EBC854DE1F3FA31D461FC3D0F4EF3BB", Key{EDR, "crowdstrike", "5ebc854de1f3fa31d461fc3d0f4ef3bb"}},
		{Directory, "entra", "00000000-0000-0000-0000-000000000000", Key{}},
		{MAC, "", "0050.56AB.CDEF", Key{MAC, "", "00:50:56:ab:cd:ef"}},
		{MAC, "", "14-7D-DA-AD-AC-71", Key{MAC, "", "14:7d:da:ad:ac:71"}},
		{MAC, "", "02:42:ac:11:00:02", Key{}}, // made up by software
		{MAC, "", "9c:eb:e8:01:02:03", Key{}}, // a dock
		{MAC, "", "ff:ff:ff:ff:ff:ff", Key{}},
		{Hostname, "", "ANN-MBP.corp.example.com", Key{Hostname, "", "ann-mbp"}},
		{Hostname, "", "localhost.localdomain", Key{}},
		{UUID, "", "4c4c4544-0000-2010-8020-80c04f202020", Key{}}, // a Dell without its tag
		{UUID, "", "33333333-3333-3333-3333-333333333333", Key{}},
		{Serial, "", "Type2 - Board Serial Number", Key{}},
		{Serial, "", "ABABABAB", Key{}},
		{Serial, "", "........", Key{}},
		{"colour", "", "blue", Key{}},
	} {
		k, ok := normalise(tc.kind, tc.scope, tc.value)
		if !ok || junk(k) != "" {
			k = Key{}
		}
		if diff := cmp.Diff(tc.want, k); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", tc.kind, tc.value, diff)
		}
	}
}

// A file that lists prefixes of addresses is in force line by line.
func TestEveryAdapterIsIgnored(t *testing.T) {
	for _, prefix := range adapters() {
		mac := prefix + "00:00:00:00:00:00"[len(prefix):]
		if canonical, ok := canonicalMAC(mac); !ok || canonical != mac || sharedMAC(mac) == "" {
			t.Errorf("prefix %q makes no address that is ignored", prefix)
		}
	}
	if len(adapters()) < 20 {
		t.Errorf("only %d prefixes were read", len(adapters()))
	}
}

func TestPeopleAreOneHoweverTheyAreCalled(t *testing.T) {
	person := func(ids ...*pb.Identifier) string {
		keys, _ := keysOf(&pb.Observation{Source: "okta", SourceId: "1", Identifiers: ids})
		var out []string
		for _, k := range keys {
			out = append(out, k.String())
		}
		return strings.Join(out, ", ")
	}
	id := func(kind, scope, value string) *pb.Identifier {
		return &pb.Identifier{Kind: kind, Scope: scope, Value: value}
	}
	for _, tc := range []struct {
		id   *pb.Identifier
		want string
	}{
		{id("email", "", "Ann.Lee@Example.com"), "email ann.lee@example.com"},
		{id("email", "", "Ann Lee <ann.lee@example.com>"), "email ann.lee@example.com"},
		{id("email", "", "SMTP:ann.lee@example.com"), "email ann.lee@example.com"},
		{id("upn", "", "ann.lee_example.com#EXT#@corp.onmicrosoft.com"), "email ann.lee@example.com"},
		{id("sam_account_name", "", `CORP\ALee`), "account corp/alee"},
		{id("account", "corp.example.com", "alee"), "account corp/alee"},
		{id("account", "", "alee"), ""}, // every domain has one
		{id("account", "corp", "Administrator"), ""},
		{id("email", "", "helpdesk@example.com"), ""},
		{id("email", "", "ann.lee"), ""},
		{id("email", "", "a@b@c.com"), ""},
	} {
		if got := person(tc.id); got != tc.want {
			t.Errorf("%s %q is %q, want %q", tc.id.GetKind(), tc.id.GetValue(), got, tc.want)
		}
	}
	o := device("Dell Inc.", "5XK2J93", "")
	o.Identifiers = []*pb.Identifier{id("email", "", "ann@example.com")}
	if keys, _ := keysOf(o); len(keys) != 1 || keys[0].Kind != Serial {
		t.Errorf("a device is known by %v, want its serial number and not its user", keys)
	}
}

// Whatever a source states, the forms in which it is compared are their own
// normal forms, and nothing is compared that is over its bound.
func FuzzIdentifiers(f *testing.F) {
	f.Add("serial", "LENOVO", "1S20XW003LGEPF2XK9AB")
	f.Add("imei", "", "35-209900-176148-1")
	f.Add("mac", "", "0050.56AB.CDEF")
	f.Add("mdm", "jamf@jamf.example.com", "123")
	f.Add("upn", "", "ann_example.com#EXT#@corp.onmicrosoft.com")
	f.Add("account", "", `CORP\ann`)
	f.Add("cloud_instance", "Azure", "{4C4C4544-0058-4B10-8032-B5C04F4A3933}")
	f.Fuzz(func(t *testing.T, kind, scope, value string) {
		o := &pb.Observation{Source: "s", SourceId: "1", Identifiers: []*pb.Identifier{{Kind: kind, Scope: scope, Value: value}}}
		c := NewClaim(o, History{})
		for _, k := range append(c.Keys, c.Weak...) {
			if len(k.Value) > maxValue || len(k.Scope) > maxValue {
				t.Errorf("%q is compared with %d bytes", k.Kind, len(k.Value))
			}
			again := NewClaim(&pb.Observation{Source: "s", SourceId: "1", Identifiers: []*pb.Identifier{k.Identifier()}}, History{})
			if all := append(again.Keys, again.Weak...); len(all) != 1 || all[0] != k {
				t.Errorf("%v is not in its own normal form: %v", k, all)
			}
		}
	})
}
