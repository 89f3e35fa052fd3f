package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files of rules are checked on the command line, with the line of a mistake.
func TestRulesAreTested(t *testing.T) {
	const good = `rules:
  - id: site-os
    version: 1
    title: The system is Debian
    severity: high
    needs: [os.name]
    require: asset.os.name == "Debian"
    remediation: Install Debian.
    examples:
      - {name: ours, want: pass, asset: {os: {name: Debian}}}
      - {name: other, want: fail, asset: {os: {name: Other}}}
settings:
  not-seen: {params: {days: 60}}
`
	for name, tc := range map[string]struct {
		content, want string
		code          int
	}{
		"good":              {good, "ok: 1 rules hold to 2 examples, 1 settings", 0},
		"unknown field":     {strings.Replace(good, "asset.os.name ==", "asset.os.nane ==", 1), "site.yaml:7:22: rule site-os: require: ", 1},
		"wrong example":     {strings.Replace(good, "want: fail", "want: unknown", 1), "site.yaml:2:1: rule site-os: ", 1},
		"unknown setting":   {strings.Replace(good, "not-seen:", "not-sen:", 1), "site.yaml:13:3: settings name the rule", 1},
		"twice":             {strings.Replace(good, "id: site-os", "id: not-seen", 1), "there is a rule of this id already", 1},
		"costs too much":    {strings.Replace(good, `asset.os.name == "Debian"`, `software.all(a, software.all(b, software.all(c, a.name != b.name && b.name != c.name)))`, 1), "far too long", 1},
		"no rules":          {"{}", "no rules and no settings", 1},
		"an impossible day": {strings.Replace(good, "{os: {name: Debian}}}", "{os: {name: Debian}}, now: 2026-02-31}", 1), "now is a time such as", 1},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		code := execute([]string{"rules", "test", dir}, outside{stdout: &out, stderr: &out, getenv: os.Getenv})
		if code != tc.code || !strings.Contains(out.String(), tc.want) {
			t.Errorf("%s: exits with %d: %s\nwant %s", name, code, out.String(), tc.want)
		}
	}
	var out bytes.Buffer
	if code := execute([]string{"rules", "list"}, outside{stdout: &out, stderr: &out}); code != 0 || !strings.Contains(out.String(), "disk-encryption") {
		t.Errorf("list exits with %d: %s", code, out.String())
	}
}
