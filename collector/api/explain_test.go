package api

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata from what the tests see")

// explainCases are what a service desk meets; the answers stand in
// docs/records.md, which is held to them.
var explainCases = []struct {
	name  string
	lines []string
	// ask is the line whose asset is explained.
	ask int
	say string // body of an :assert on the same asset
}{
	{"three systems, one laptop", []string{
		`{"source":"laptops","source_id":"a1","observed_at":"%[1]s","device":{"name":"ann-mbp","hardware":{"manufacturer":"Apple Inc.","serial":"C02FQ1A2MD6T","uuid":"5a1c0b7e-3f44-4c1e-9a51-1a2b3c4d5e6f"}}}`,
		`{"source":"jamf","source_id":"computer/123","observed_at":"%[1]s","device":{"name":"Ann's MacBook Pro","hardware":{"manufacturer":"Apple","serial":"C02FQ1A2MD6T","uuid":"5A1C0B7E-3F44-4C1E-9A51-1A2B3C4D5E6F"}}}`,
		`{"source":"orders","source_id":"PO-77/1","observed_at":"%[2]s","device":{"hardware":{"serial":" sc02fq1a2md6t "},"purchase":{"order_number":"PO-77"}}}`,
	}, 0, ""},
	{"a placeholder on the board", []string{
		`{"source":"laptops","source_id":"b1","observed_at":"%[1]s","device":{"name":"kiosk-7","hardware":{"manufacturer":"To be filled by O.E.M.","serial":"To be filled by O.E.M.","uuid":"8c6a1f9e-0d52-4b0c-8e2f-51b7c0a94d10"}}}`,
		`{"source":"jamf","source_id":"computer/7","observed_at":"%[1]s","device":{"name":"kiosk-7","hardware":{"serial":"Default string","uuid":"8c6a1f9e-0d52-4b0c-8e2f-51b7c0a94d10"}}}`,
	}, 0, ""},
	{"a virtual machine that was copied", []string{
		`{"source":"laptops","source_id":"c1","observed_at":"%[1]s","device":{"name":"build-1","class":"virtual_machine","hardware":{"uuid":"42309c31-6b0f-4a34-9d4c-7a3a1f2b5c01"}}}`,
		`{"source":"laptops","source_id":"c1","observed_at":"%[2]s","device":{"name":"build-1","class":"virtual_machine","hardware":{"uuid":"42309c31-6b0f-4a34-9d4c-7a3a1f2b5c01"}}}`,
		`{"source":"laptops","source_id":"c2","observed_at":"%[1]s","device":{"name":"build-2","class":"virtual_machine","hardware":{"uuid":"42309c31-6b0f-4a34-9d4c-7a3a1f2b5c01"}}}`,
		`{"source":"laptops","source_id":"c2","observed_at":"%[2]s","device":{"name":"build-2","class":"virtual_machine","hardware":{"uuid":"42309c31-6b0f-4a34-9d4c-7a3a1f2b5c01"}}}`,
	}, 0, ""},
	{"set up anew", []string{
		`{"source":"laptops","source_id":"d1","observed_at":"%[2]s","device":{"name":"desktop-1fpwdlp","hardware":{"manufacturer":"Dell Inc.","serial":"5XK2J93","uuid":"4c4c4544-0058-4b10-8032-b5c04f4a3933"}}}`,
		`{"source":"laptops","source_id":"d2","observed_at":"%[1]s","device":{"name":"par-5xk2j9","hardware":{"manufacturer":"Dell Inc.","serial":"5XK2J93","uuid":"4c4c4544-0058-4b10-8032-b5c04f4a3933"}}}`,
	}, 1, ""},
	{"two that an operator keeps apart", []string{
		`{"source":"laptops","source_id":"e1","observed_at":"%[2]s","device":{"name":"lab-1","hardware":{"manufacturer":"LENOVO","serial":"PF3ABCDE"}}}`,
		`{"source":"jamf","source_id":"computer/9","observed_at":"%[1]s","device":{"name":"lab-2","hardware":{"manufacturer":"LENOVO","serial":"PF3ABCDE"}}}`,
	}, 0, `{"not_same_as":["jamf/computer/9"]}`},
}

// What a service desk reads is what the documentation shows.
func TestExplanationsAsDocumented(t *testing.T) {
	var out strings.Builder
	for _, c := range explainCases {
		w := newWorld(t)
		for id, kind := range map[string]string{"laptops": "edr", "jamf": "mdm", "orders": "purchasing"} {
			w.must("PUT", "/v1/sources/"+id, `{"kind":"`+kind+`"}`)
		}
		now := time.Now().UTC()
		asset := ""
		for i, line := range c.lines {
			a := w.push(strings.NewReplacer("%[1]s", now.Format(time.RFC3339), "%[2]s", now.AddDate(0, 0, -30).Format(time.RFC3339)).Replace(line))[0]
			if a["error"] != "" {
				t.Fatalf("%s: %s", c.name, a["error"])
			}
			if i == c.ask {
				asset = a["asset_id"]
			}
		}
		if c.say != "" {
			w.must("POST", "/v1/assets/"+asset+":assert", c.say)
		}
		fmt.Fprintf(&out, "%s\n\n", c.name)
		for _, s := range w.must("GET", "/v1/assets/"+asset+":explain", "")["summary"].([]any) {
			text := s.(string)
			if by := strings.Index(text, "token:"); by >= 0 {
				text = text[:by] + "token:k3f9" + text[by+len("token:")+8:]
			}
			fmt.Fprintf(&out, "> %s\n", text)
		}
		out.WriteString("\n")
	}
	golden := filepath.Join("testdata", "explanations.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("explained as\n%s\nwant\n%s", out.String(), want)
	}
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "records.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(string(docs), strings.TrimSpace(line)) {
			t.Errorf("docs/records.md does not show %q", line)
		}
	}
}
