package facts

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// What over 200 systems say of themselves is told as the collector takes it, which
// tests there until when each is supported: both go by one table.
func TestSystems(t *testing.T) {
	data, err := os.ReadFile("../../collector/policy/eol/testdata/systems.tsv")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer(`\n`, "\n", `\t`, "\t")
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		f := strings.Split(line, "\t")
		said, beside, _ := strings.Cut(f[1], `\0`)
		d := new(pb.Device)
		if err := learnSystem(t, d, f[0], plain.Replace(said), beside); err != nil {
			t.Errorf("line %d: %v", i+2, err)
		}
		o := d.GetOs()
		if o.GetId() != f[2] || o.GetName() != f[3] || o.GetVersion() != f[4] || o.GetBuild() != f[5] || o.GetEdition() != f[6] {
			t.Errorf("line %d: %q is told as %v", i+2, f[1], o)
		}
	}
}

// learnSystem has a machine read that says so of itself.
func learnSystem(t *testing.T, d *pb.Device, form, said, beside string) error {
	switch form {
	case "os-release":
		files := map[string]string{"machine.json": `{"os": "linux", "time": "2026-02-20T08:00:00Z"}`, "files/etc/os-release": said}
		if beside != "" {
			files["files/etc/debian_version"], files["files/etc/centos-release"] = beside, beside
		}
		return learnOS(t.Context(), captured(t, files), d)
	case "sw_vers":
		var inside strings.Builder
		for line := range strings.SplitSeq(said, "\n") {
			key, value, _ := strings.Cut(line, ":")
			if key == "BuildVersion" { // as the file calls it
				key = "ProductBuildVersion"
			}
			inside.WriteString("<key>" + key + "</key><string>" + strings.TrimSpace(value) + "</string>")
		}
		return learnMacOS(t.Context(), captured(t, map[string]string{"machine.json": `{"os": "darwin", "time": "2026-02-20T08:00:00Z"}`, "files/" + macVersionFile: plistOf(inside.String())}), d)
	}
	var values []string
	for line := range strings.SplitSeq(said, "\n") {
		name, value, _ := strings.Cut(line, "=")
		if number, ok := strings.CutPrefix(value, "#"); ok {
			values = append(values, name+"=dword:"+hexadecimal(number))
		} else {
			values = append(values, name+`="`+value+`"`)
		}
	}
	return learnWinOS(t.Context(), winMachine(t, keys(`SOFTWARE\Microsoft\Windows NT\CurrentVersion|`+strings.Join(values, "|")), nil), d)
}

// hexadecimal writes a number as files of the registry editor do.
func hexadecimal(number string) string {
	n, _ := strconv.Atoi(number) // 0 for what is none is not what the table wants
	return fmt.Sprintf("%08x", n)
}
