package facts

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// hiveKey is a key of a hive to be made: bytes are binary values, and text is
// text.
type hiveKey struct {
	values map[string]any
	keys   map[string]*hiveKey
}

// hiveFile makes a hive of keys by path.
func hiveFile(keys map[string]map[string]any) []byte {
	root := &hiveKey{keys: map[string]*hiveKey{}}
	for path, values := range keys {
		at := root
		for name := range strings.SplitSeq(path, `\`) {
			if at.keys[name] == nil {
				at.keys[name] = &hiveKey{keys: map[string]*hiveKey{}}
			}
			at = at.keys[name]
		}
		at.values = values
	}
	b := make([]byte, 0x1000, 0x4000)
	copy(b, "regf")
	b = append(b, make([]byte, 32)...)
	cell := func(data []byte) uint32 {
		at := uint32(len(b) - 0x1000)
		size := (len(data) + 4 + 7) &^ 7
		b = binary.LittleEndian.AppendUint32(b, uint32(-int32(size)))
		b = append(append(b, data...), make([]byte, size-4-len(data))...)
		return at
	}
	list := func(offsets []uint32) (out []byte) {
		for _, at := range offsets {
			out = binary.LittleEndian.AppendUint32(out, at)
		}
		return out
	}
	var add func(name string, k *hiveKey) uint32
	add = func(name string, k *hiveKey) uint32 {
		var values, subkeys []uint32
		for _, name := range slices.Sorted(maps.Keys(k.values)) {
			kind, data := uint32(3), []byte(nil)
			switch v := k.values[name].(type) {
			case string:
				kind = 1
				for _, u := range append(utf16.Encode([]rune(v)), 0) {
					data = binary.LittleEndian.AppendUint16(data, u)
				}
			case []byte:
				data = v
			}
			vk := make([]byte, 20)
			copy(vk, "vk")
			binary.LittleEndian.PutUint16(vk[2:], uint16(len(name)))
			binary.LittleEndian.PutUint32(vk[4:], uint32(len(data)))
			binary.LittleEndian.PutUint32(vk[8:], cell(data))
			binary.LittleEndian.PutUint32(vk[12:], kind)
			vk[16] = 1
			values = append(values, cell(append(vk, name...)))
		}
		for _, name := range slices.Sorted(maps.Keys(k.keys)) {
			subkeys = append(subkeys, add(name, k.keys[name]))
		}
		nk := make([]byte, 76)
		copy(nk, "nk")
		nk[2] = 0x20
		binary.LittleEndian.PutUint32(nk[20:], uint32(len(subkeys)))
		binary.LittleEndian.PutUint32(nk[28:], cell(append([]byte{'l', 'i', byte(len(subkeys)), 0}, list(subkeys)...)))
		binary.LittleEndian.PutUint32(nk[36:], uint32(len(values)))
		binary.LittleEndian.PutUint32(nk[40:], cell(list(values)))
		binary.LittleEndian.PutUint16(nk[72:], uint16(len(name)))
		return cell(append(nk, name...))
	}
	binary.LittleEndian.PutUint32(b[0x24:], add("ROOT", root))
	return b
}

// assist is what the shell remembers of a program.
func assist(front time.Duration, at time.Time) []byte {
	b := make([]byte, 72)
	binary.LittleEndian.PutUint32(b[12:], uint32(front.Milliseconds()))
	binary.LittleEndian.PutUint64(b[60:], uint64(at.Unix()+11644473600)*10_000_000)
	return b
}

const (
	testList    = `SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\`
	assistCount = assistKey + `\{CEBFF5CD-ACE2-4F4F-9178-9926F41749EA}\Count`
	benSID      = "S-1-5-21-1004336348-1177238915-682003330-1105"
)

// peoplesMachine is one at which somebody of the support is logged on, and
// whose user is not: his part of the registry lies in files.
func peoplesMachine(t *testing.T, logon string, files map[string][]byte) *host.Host {
	front := hex.EncodeToString(assist(20*time.Minute, time.Date(2025, 12, 30, 9, 0, 0, 0, time.UTC)))
	var list []string
	for i := 0; i < len(front); i += 2 {
		list = append(list, front[i:i+2])
	}
	registry := keys(
		`SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName|ComputerName="PC1"`,
		`SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI|`+logon,
		testList+testUser+`|ProfileImagePath="C:\\Users\\support"`,
		testList+benSID+`|ProfileImagePath="C:\\Users\\ben.CORP"`,
		`HKU\`+testUser+`\Software|x="y"`,
		// What has a name of the session itself is no program, however long.
		`HKU\`+testUser+`\`+assistCount+`|P:\\Gbbyf\\n.rkr=hex:`+strings.Join(list, ",")+`|HRZR_PGYFRFFVBA=hex:`+strings.Repeat("ff,", 99)+"ff",
		`HKU\`+testUser+`_Classes\`+ownPackages+`\Contoso.Tool_1.2.0.0_x64__8wekyb3d8bbwe|DisplayName="Tool"`,
		`HKU\`+testUser+`_Classes\`+ownPackages+`\broken|DisplayName="none"`,
		`SYSTEM\CurrentControlSet\Services\bam\State\UserSettings\`+testUser+`|Contoso.Tool_8wekyb3d8bbwe=hex:00,80,9b,1d,22,54,da,01|Version=dword:00000001`,
	)
	return winMachineWith(t, registry, files)
}

func TestWindowsPeopleWhoAreAway(t *testing.T) {
	on := func(month, day int) time.Time { return time.Date(2025, time.Month(month), day, 0, 0, 0, 0, time.UTC) }
	ben := hiveFile(map[string]map[string]any{
		assistCount: {`P:\Shgher\s.rkr`: assist(time.Minute, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)), `P:\Cebtenz Svyrf\Rqvgbe\rqvgbe.rkr`: assist(40*time.Hour, on(12, 20)), `{6Q809377-6NS0-444O-8957-N3773S02200R}\Byq\b.rkr`: assist(time.Hour, on(3, 1))},
		explorerKey: {"Logon User Name": "ben"},
		`Software\Microsoft\Windows\CurrentVersion\Uninstall\Editor`: {"DisplayName": "Editor", "InstallLocation": `C:\Program Files\Editor`},
	})
	classes := hiveFile(map[string]map[string]any{ownPackages + `\Fabrikam.Notes_3.0.1.0_x64__h91ms92gdsmmt`: {"DisplayName": "Notes"}})
	h := peoplesMachine(t, `LastLoggedOnSAMUser="CORP\\support"|LastLoggedOnUser="support@corp.example.com"|LastLoggedOnUserSID="`+testUser+`"`, map[string][]byte{
		"Users/ben.CORP/NTUSER.DAT": ben, "Users/ben.CORP/AppData/Local/Microsoft/Windows/UsrClass.dat": classes,
	})
	d := new(pb.Device)
	for _, learn := range []func() error{
		func() error { return learnWinPrimaryUser(t.Context(), h, d) },
		func() error { return learnUninstall(t.Context(), h, d) },
		func() error { return learnAppX(t.Context(), h, d) },
	} {
		if err := learn(); err != nil {
			t.Error(err)
		}
	}
	// The one who was logged on last has looked after the machine for minutes.
	if diff := cmp.Diff(&pb.PrimaryUser{Name: `CORP\ben`, Source: "usage"}, d.GetPrimaryUser(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, row := range d.GetSoftware() {
		used := "-"
		if row.GetLastUsedAt() != nil {
			used = row.GetLastUsedAt().AsTime().Format(time.DateOnly)
		}
		got = append(got, row.GetKind()+" "+row.GetName()+" "+row.GetVersion()+" "+used)
	}
	slices.Sort(got)
	want := []string{"appx Contoso.Tool 1.2.0.0 2024-01-31", "appx Fabrikam.Notes 3.0.1.0 -", "exe Editor  2025-12-20"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file that is damaged costs a problem, and what is known beside stays.
func TestWindowsPeopleOfDamagedFiles(t *testing.T) {
	logon := `LastLoggedOnSAMUser="CORP\\support"|LastLoggedOnUserSID="` + testUser + `"`
	for name, file := range map[string][]byte{"a text": []byte(strings.Repeat("x", 5000)), "cut": hiveFile(map[string]map[string]any{assistKey: nil})[:0x1010], "empty": {}} {
		d := new(pb.Device)
		err := learnWinPrimaryUser(t.Context(), peoplesMachine(t, logon, map[string][]byte{"Users/ben.CORP/NTUSER.DAT": file}), d)
		if err == nil || !strings.Contains(err.Error(), "NTUSER.DAT") || d.GetPrimaryUser().GetName() != `CORP\support` || d.GetPrimaryUser().GetSource() != "usage" {
			t.Errorf("%s: %v, %v", name, err, d.GetPrimaryUser())
		}
	}
}
