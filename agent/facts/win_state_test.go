package facts

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestSecurityProducts(t *testing.T) {
	for state, want := range map[string]*pb.Antivirus{
		"397568": {Name: "X", Enabled: proto.Bool(true), UpToDate: proto.Bool(true)},   // 0x061100
		"397584": {Name: "X", Enabled: proto.Bool(true), UpToDate: proto.Bool(false)},  // 0x061110
		"393472": {Name: "X", Enabled: proto.Bool(false), UpToDate: proto.Bool(true)},  // 0x060100
		"393488": {Name: "X", Enabled: proto.Bool(false), UpToDate: proto.Bool(false)}, // 0x060110
		"266240": {Name: "X", Enabled: proto.Bool(true), UpToDate: proto.Bool(true)},   // 0x041000
		"262160": {Name: "X", Enabled: proto.Bool(false), UpToDate: proto.Bool(false)}, // 0x040010
		"":       {Name: "X"}, "none": {Name: "X"}, "-1": {Name: "X"},
	} {
		got, ok := securityProduct(queryRow{"displayName": "X", "productState": state})
		if diff := cmp.Diff(want, got, protocmp.Transform()); !ok || diff != "" {
			t.Errorf("%q: %s", state, diff)
		}
	}
	if _, ok := securityProduct(queryRow{"productState": "397568"}); ok {
		t.Error("a product without a name")
	}
}

func TestDefender(t *testing.T) {
	const defend = `SYSTEM\CurrentControlSet\Services\WinDefend|Start=dword:00000002`
	for name, c := range map[string]struct {
		keys []string
		rows []host.Row
		want *pb.Antivirus
	}{
		"not there":     {nil, nil, nil},
		"by its word":   {[]string{defend}, []host.Row{{"AntivirusEnabled": "true", "RealTimeProtectionEnabled": "true", "AntivirusSignatureAge": "1"}}, &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(true), UpToDate: proto.Bool(true)}},
		"passive":       {[]string{defend}, []host.Row{{"AntivirusEnabled": "true", "RealTimeProtectionEnabled": "false", "AntivirusSignatureAge": "9"}}, &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(false), UpToDate: proto.Bool(false)}},
		"by settings":   {[]string{defend}, nil, &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(true)}},
		"policy is off": {[]string{defend, `SOFTWARE\Policies\Microsoft\Windows Defender|DisableAntiSpyware=dword:00000001`}, nil, &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(false)}},
		"old signatures": {
			[]string{defend, `SOFTWARE\Microsoft\Windows Defender\Signature Updates|SignaturesLastUpdated=hex:00,80,9b,1d,22,54,da,01`},
			nil, &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(true), UpToDate: proto.Bool(false)},
		},
	} {
		queries := map[string][]host.Row{}
		if c.rows != nil {
			queries["defender"] = c.rows
		}
		d := new(pb.Device)
		err := learnWinAntivirus(t.Context(), winMachine(t, keys(c.keys...), queries), d)
		var got *pb.Antivirus
		if list := d.GetSecurity().GetAntivirus(); len(list) > 0 {
			got = list[0]
		}
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); diff != "" || (c.want == nil) != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// Suspended is neither on nor off.
func TestBitLocker(t *testing.T) {
	volume := func(kind, protection, conversion string) host.Row {
		return host.Row{"DeviceID": `\\?\Volume{1}\`, "VolumeType": kind, "ProtectionStatus": protection, "ConversionStatus": conversion}
	}
	for name, c := range map[string]struct {
		rows []host.Row
		want string
	}{
		"none":             {nil, ""},
		"on":               {[]host.Row{volume("0", "1", "1"), volume("1", "1", "1")}, "on"},
		"off":              {[]host.Row{volume("0", "0", "0")}, "off"},
		"suspended":        {[]host.Row{volume("0", "0", "1"), volume("1", "1", "1")}, "suspended"},
		"one of two":       {[]host.Row{volume("0", "1", "1"), volume("1", "0", "0")}, "partial"},
		"suspended, plain": {[]host.Row{volume("0", "0", "1"), volume("1", "0", "0")}, "partial"},
		"under way":        {[]host.Row{volume("0", "0", "2")}, "partial"},
		"locked":           {[]host.Row{volume("0", "1", "1"), {"VolumeType": "1", "ProtectionStatus": "2"}}, "on"},
		"a stick":          {[]host.Row{volume("0", "1", "1"), volume("2", "0", "0")}, "on"},
		"only a stick":     {[]host.Row{volume("2", "0", "0")}, ""},
		"nonsense":         {[]host.Row{{"VolumeType": "x"}}, ""},
		"used space first": {[]host.Row{volume("0", "1", "2")}, "partial"},
		"being decrypted":  {[]host.Row{volume("0", "0", "3")}, "partial"},
		"paused":           {[]host.Row{volume("0", "0", "4"), volume("1", "0", "0")}, "partial"},
		"a new state":      {[]host.Row{volume("0", "99", "1")}, ""},
		"not activated":    {[]host.Row{volume("0", "0", "1")}, "suspended"},
		"without progress": {[]host.Row{{"VolumeType": "0", "ProtectionStatus": "1"}}, "on"},
		"a number of text": {[]host.Row{volume("0", " 1 ", "1")}, "on"},
		"one of them new":  {[]host.Row{volume("0", "1", "1"), volume("1", "77", "1")}, "on"},
	} {
		d := new(pb.Device)
		err := learnWinEncryption(t.Context(), winMachine(t, "", map[string][]host.Row{"bitlocker": c.rows}), d)
		if got := d.GetSecurity().GetDiskEncryption().GetState(); got != c.want || (c.want == "") != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestWindowsScreenLock(t *testing.T) {
	const (
		machine = `SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System|InactivityTimeoutSecs=dword:00000384`
		desktop = `HKU\` + testUser + `\Control Panel\Desktop`
		other   = `HKU\S-1-5-21-1-2-3-1002\Control Panel\Desktop`
		policy  = `HKU\` + testUser + `\Software\Policies\Microsoft\Windows\Control Panel\Desktop`
		secure  = `|ScreenSaveActive="1"|ScreenSaverIsSecure="1"|ScreenSaveTimeOut=`
		lock    = `SOFTWARE\Microsoft\PolicyManager\current\device\DeviceLock|MaxInactivityTimeDeviceLock=dword:00000005|DevicePasswordEnabled=dword:0000000`
	)
	for name, c := range map[string]struct {
		keys    []string
		state   string
		seconds int32
	}{
		"nothing known":          {nil, "", 0},
		"machine":                {[]string{machine}, "on", 900},
		"saver":                  {[]string{desktop + secure + `"600"`}, "on", 600},
		"saver without password": {[]string{desktop + `|ScreenSaveActive="1"|ScreenSaveTimeOut="600"`}, "off", 0},
		"machine and none":       {[]string{machine, desktop}, "on", 900},
		"machine and sooner":     {[]string{machine, desktop + secure + `"300"`}, "on", 300},
		"machine and later":      {[]string{machine, desktop + secure + `"3000"`}, "on", 900},
		"two, one without":       {[]string{desktop + secure + `"600"`, other}, "off", 0},
		"two":                    {[]string{desktop + secure + `"600"`, other + secure + `"1200"`}, "on", 1200},
		"policy over own":        {[]string{desktop + secure + `"600"`, policy + `|ScreenSaverIsSecure="0"`}, "off", 0},
		"MDM":                    {[]string{lock + "0"}, "on", 300},
		"MDM without a password": {[]string{lock + "1"}, "", 0},
	} {
		d := new(pb.Device)
		err := learnWinScreenLock(t.Context(), winMachine(t, keys(c.keys...), nil), d)
		if got := d.GetSecurity().GetScreenLock(); got.GetState() != c.state || got.GetSeconds() != c.seconds || (c.state == "") != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A key is not an enrolment.
func TestWindowsMDM(t *testing.T) {
	const (
		enrolments = `SOFTWARE\Microsoft\Enrollments\`
		accounts   = `SOFTWARE\Microsoft\Provisioning\OMADM\Accounts\`
	)
	for name, c := range map[string]struct {
		keys []string
		want *pb.Mdm
	}{
		"no key":         {nil, nil},
		"only keys":      {[]string{enrolments + `Status`, enrolments + `{A}|ProviderID="WMI_Bridge_SCCM_Server"`}, &pb.Mdm{Enrolled: proto.Bool(false)}},
		"left":           {[]string{enrolments + `{A}|EnrollmentState=dword:00000000|ProviderID="MS DM Server"|DiscoveryServiceFullURL="https://x"`}, &pb.Mdm{Enrolled: proto.Bool(false)}},
		"without server": {[]string{enrolments + `{A}|EnrollmentState=dword:00000001|ProviderID="MS DM Server"`}, &pb.Mdm{Enrolled: proto.Bool(false)}},
		"of a vendor": {
			[]string{enrolments + `{A}|EnrollmentState=dword:00000001|ProviderID="AirWatchMDM"|DiscoveryServiceFullURL="https://ds.example.com/"`},
			&pb.Mdm{Enrolled: proto.Bool(true), Vendor: "airwatchmdm", ServerUrl: "https://ds.example.com/", Id: "A"},
		},
		"of two, the one in touch": {
			[]string{
				enrolments + `{A}|EnrollmentState=dword:00000001|ProviderID="Old"|DiscoveryServiceFullURL="https://old/"`,
				enrolments + `{B}|EnrollmentState=dword:00000001|ProviderID="MS DM Server"`,
				accounts + `{B}\Protected\ConnInfo|ServerLastSuccessTime="20260101T000000Z"`,
			},
			&pb.Mdm{Enrolled: proto.Bool(true), Vendor: "intune", Id: "B", LastCheckIn: unixTime(1767225600)},
		},
	} {
		d := new(pb.Device)
		err := learnWinMDM(t.Context(), winMachine(t, keys(c.keys...), nil), d)
		if diff := cmp.Diff(c.want, d.Mdm, protocmp.Transform()); diff != "" || (c.want == nil) != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// A domain controller is never asked for the members of a group.
func TestWindowsAdmins(t *testing.T) {
	rows := map[string][]host.Row{"local_admins": {
		{"SID": "S-1-5-21-1-2-3-500", "Domain": "PC1", "Name": "Administrator"}, {"SID": "S-1-5-21-9-9-9-512", "Domain": "CORP", "Name": "Domain Admins"},
		{"SID": "S-1-5-21-7-7-7-1104"}, {"SID": "S-1-5-21-1-2-3-500", "Domain": "pc1", "Name": "Administrator"},
	}}
	const name = `SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName|ComputerName="PC1"`
	d := new(pb.Device)
	if err := learnWinAdmins(t.Context(), winMachine(t, keys(name), rows), d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Administrator", `CORP\Domain Admins`, "S-1-5-21-7-7-7-1104"}, d.Security.LocalAdmins); diff != "" {
		t.Error(diff)
	}
	d = new(pb.Device)
	err := learnWinAdmins(t.Context(), winMachine(t, keys(name, `SYSTEM\CurrentControlSet\Control\ProductOptions|ProductType="LanmanNT"`), rows), d)
	if !errors.Is(err, errors.ErrUnsupported) || d.Security != nil {
		t.Errorf("on a domain controller: %v, %v", d.Security, err)
	}
}

func TestWindowsPrimaryUser(t *testing.T) {
	const (
		logon = `SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI`
		name  = `SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName|ComputerName="PC1"`
		list  = `SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\`
	)
	for what, c := range map[string]struct {
		keys []string
		want *pb.PrimaryUser
	}{
		"nobody":    {[]string{list + `S-1-5-18|ProfileImagePath="C:\\Windows\\system32"`}, nil},
		"local":     {[]string{name, logon + `|LastLoggedOnSAMUser="PC1\\ann"`}, &pb.PrimaryUser{Name: "ann", Source: "last_login"}},
		"of domain": {[]string{name, logon + `|LastLoggedOnSAMUser="CORP\\ann"|LastLoggedOnUser="ann@corp.example.com"`}, &pb.PrimaryUser{Name: `CORP\ann`, Email: "ann@corp.example.com", Source: "last_login"}},
		"Microsoft": {[]string{name, logon + `|LastLoggedOnSAMUser="PC1\\annex"|LastLoggedOnUser="MicrosoftAccount\\ann@example.com"`}, &pb.PrimaryUser{Name: "annex", Email: "ann@example.com", Source: "last_login"}},
		"account at work": {
			[]string{
				name, logon + `|LastLoggedOnSAMUser="PC1\\ann"|LastLoggedOnUserSID="` + testUser + `"`,
				`HKU\` + testUser + `\Software\Microsoft\Windows NT\CurrentVersion\WorkplaceJoin\JoinInfo\AB01|TenantId="t"|UserEmail="ann@corp.example.com"`,
				// Of somebody else.
				`HKU\S-1-5-21-9-9-9-1009\Software\Microsoft\Windows NT\CurrentVersion\WorkplaceJoin\JoinInfo\CD02|UserEmail="ben@corp.example.com"`,
			},
			&pb.PrimaryUser{Name: "ann", Email: "ann@corp.example.com", Source: "last_login"},
		},
		"a service": {
			[]string{
				name, logon + `|LastLoggedOnSAMUser="NT AUTHORITY\\SYSTEM"|LastLoggedOnUserSID="S-1-5-18"`,
				list + `S-1-5-21-1-2-3-1001|ProfileImagePath="C:\\Users\\old"|LocalProfileLoadTimeHigh=dword:01d00000|LocalProfileLoadTimeLow=dword:00000000`,
				list + `S-1-5-21-1-2-3-1002|ProfileImagePath="C:\\Users\\ben"|LocalProfileLoadTimeHigh=dword:01da0000|LocalProfileLoadTimeLow=dword:00000000`,
			},
			&pb.PrimaryUser{Name: "ben", Source: "last_login"},
		},
	} {
		d := new(pb.Device)
		err := learnWinPrimaryUser(t.Context(), winMachine(t, keys(c.keys...), nil), d)
		if diff := cmp.Diff(c.want, d.PrimaryUser, protocmp.Transform()); diff != "" || (c.want == nil) != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v %s", what, err, diff)
		}
	}
}
