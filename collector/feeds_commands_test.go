package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

// feeds runs one command line of rollcall-collector feeds.
func feeds(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(append([]string{"feeds"}, args...), outside{stdout: &stdout, stderr: &stderr, getenv: os.Getenv})
	return code, stdout.String(), stderr.String()
}

func TestFeedsFromNothingToATestedManifest(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, out, errs := feeds(t, "new", "acme"); code != 0 || !strings.Contains(out, "acme.yaml is written") {
		t.Fatal(code, out, errs)
	}
	if code, out, errs := feeds(t, "test", "acme.yaml"); code != 0 || !strings.Contains(out, "1 tests passed") {
		t.Error(code, out, errs)
	}
	if code, _, errs := feeds(t, "new", "acme"); code == 0 || !strings.Contains(errs, "is there already") {
		t.Error("a manifest was overwritten: ", errs)
	}
	b, err := os.ReadFile("acme.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for with, want := range map[string]string{
		"serial_number: XYZ": "device.hardware.serial is XYZ, want ABC123",
		"serialnumber: x":    "device.hardware is <nil>, want an object",
	} {
		if err := os.WriteFile("acme.yaml", bytes.Replace(b, []byte("serial_number: ABC123"), []byte(with), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := feeds(t, "test", "acme.yaml"); code == 0 || !strings.Contains(out+errs, want) {
			t.Errorf("%s: %d %s%s", with, code, out, errs)
		}
	}
	if err := os.WriteFile("acme.yaml", bytes.Replace(b, []byte("hardware.serial:"), []byte("hardware.seriel:"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := feeds(t, "test", "acme.yaml"); code == 0 || !strings.Contains(errs, "acme.yaml:30:24: \"hardware.seriel\" is no field") {
		t.Error("a mistake is not told with its place: ", errs)
	}
}

func TestFeedsShowsWhatIsKnown(t *testing.T) {
	if code, out, _ := feeds(t, "list"); code != 0 || !strings.Contains(out, "jamf_pro") {
		t.Error(code, out)
	}
	if code, out, _ := feeds(t, "show", "okta"); code != 0 || !strings.Contains(out, "SSWS ${token}") {
		t.Error(code, out)
	}
	// Known systems are sound anywhere, and what cannot be run there is told.
	for _, name := range vendors.Names() {
		if code, out, errs := feeds(t, "test", name); code != 0 || !strings.Contains(out, "the manifest is sound") {
			t.Error(name, code, out, errs)
		}
	}
	if _, out, _ := feeds(t, "test", "jira_assets"); !strings.Contains(out, "not run attributes are found by") {
		t.Error(out)
	}
	if code, _, errs := feeds(t, "show", "nobody"); code == 0 || !strings.Contains(errs, "known are apple_business") {
		t.Error(code, errs)
	}
	if code, out, _ := feeds(t, "schema"); code != 0 || !strings.Contains(out, "Rollcall feed manifest") {
		t.Error(code, out)
	}
}

func TestFeedsTryShowsRecordsAndWhatComesOfThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "po.csv")
	if err := os.WriteFile(file, []byte("Serial Number;Bestellnummer;Preis\nC02X;PO-7;1.299,00\nC02Y;PO-7;5,00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := feeds(t, "try", "csv_assets", "--set", "file="+file, "--limit", "1")
	if code != 0 || strings.Count(out, "---") != 1 || !strings.Contains(out, `"1299.00"`) || !strings.Contains(out, `"row/C02X"`) ||
		!strings.Contains(out, `# column "Preis" is price, decimal mark ','`) {
		t.Error(code, out, errs)
	}
	if code, _, errs := feeds(t, "try", "okta"); code == 0 || !strings.Contains(errs, `setting "token": is missing: Security > API > Tokens`) {
		t.Error(code, errs)
	}
}
