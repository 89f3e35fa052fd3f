package main

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type vulnerabilitiesCommands struct {
	List   vulnerabilitiesListCommand   `cmd:"" default:"withargs" help:"List the advisories that are said of packages that assets have."`
	Show   vulnerabilitiesShowCommand   `cmd:"" help:"Show one: its packages, and the assets that have them."`
	Of     vulnerabilitiesOfCommand     `cmd:"" help:"List the advisories that are said of the packages of one asset."`
	Status vulnerabilitiesStatusCommand `cmd:"" help:"Tell which advisories are held, how old they are, and what was left out."`
}

type vulnerabilitiesListCommand struct {
	Search         string `arg:"" optional:"" complete:"advisory" help:"Only of this id, alias (CVE-2026-1) or package."`
	Severity       string `placeholder:"critical" values:"critical,high,medium,low,unknown" help:"Only of this severity: critical, high, medium, low or unknown."`
	KnownExploited bool   `help:"Only what CISA knows to be exploited."`
	Fixable        bool   `help:"Only what a later version fixes."`
}

// Run lists what is said of the fleet.
func (cmd vulnerabilitiesListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(listPage)
	for name, value := range map[string]string{"search": cmd.Search, "severity": cmd.Severity} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]bool{"known_exploited": cmd.KnownExploited, "fixable": cmd.Fixable} {
		if value {
			query.Set(name, "true")
		}
	}
	return printList(s, c.pages(s.ctx, "/v1/vulnerabilities", "vulnerabilities", query), listing[*adminpb.Vulnerability]{key: "vulnerabilities",
		columns: []column{{"ID", 16, 0}, {"SEVERITY", 0, 0}, {"EXPLOITED", 0, 1}, {"ASSETS", 0, 0}, {"PACKAGES", 16, 1}, {"FIXED IN", 12, 2}, {"PUBLISHED", 0, 2}, {"SUMMARY", 20, 3}},
		row: func(t *table, v *adminpb.Vulnerability) {
			t.add(v.GetId(), severityOf(v), exploited(v), fmt.Sprint(v.GetAssets()), packages(v), fixes(v), dayOf(v), v.GetSummary())
		},
		none: s.nothing("nothing is known of; rollcall vulnerabilities status tells which systems there are advisories for")})
}

func severityOf(v *adminpb.Vulnerability) string { return cmp.Or(v.GetSeverity(), "unknown") }

func exploited(v *adminpb.Vulnerability) string {
	switch {
	case !v.GetKnownExploited():
		return ""
	case v.GetDue() == "":
		return "yes"
	}
	return "fix by " + v.GetDue()
}

// packages names the packages of an advisory, each once.
func packages(v *adminpb.Vulnerability) string {
	return several(v, func(p *adminpb.VulnerablePackage) string { return p.GetName() })
}

func fixes(v *adminpb.Vulnerability) string {
	return several(v, func(p *adminpb.VulnerablePackage) string { return p.GetFixed() })
}

func several(v *adminpb.Vulnerability, what func(*adminpb.VulnerablePackage) string) string {
	var out []string
	seen := make(map[string]bool)
	for _, p := range v.GetPackages() {
		if text := what(p); text != "" && !seen[text] {
			seen[text] = true
			out = append(out, text)
		}
	}
	if more := int(v.GetPackageCount()) - len(v.GetPackages()); more > 0 {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

func dayOf(v *adminpb.Vulnerability) string {
	if at := v.GetPublished(); at != nil {
		return at.AsTime().Format("2006-01-02")
	}
	return ""
}

type vulnerabilitiesShowCommand struct {
	ID string `arg:"" complete:"advisory" help:"Id of the advisory, or one of its aliases: CVE-2026-1."`
}

// Run shows one.
func (cmd vulnerabilitiesShowCommand) Run(s *session) error {
	return fetch(s, "/v1/vulnerabilities/"+url.PathEscape(cmd.ID), nil, s.vulnerability)
}

func (s *session) vulnerability(found *adminpb.GetVulnerabilityResponse) {
	v := found.GetVulnerability()
	sh := new(sheet)
	sh.row("ID", v.GetId())
	sh.row("Also", list(v.GetAliases()...))
	sh.row("Summary", v.GetSummary())
	sh.row("Severity", severityOf(v))
	sh.row("Published", dayOf(v))
	if v.GetKnownExploited() {
		sh.row("Known exploited", phrase("since "+v.GetExploitedSince(), exploited(v)))
		sh.row("By ransomware", yes(&v.Ransomware))
	}
	sh.row("Assets", fmt.Sprint(v.GetAssets()))
	sh.heading("Packages")
	for _, p := range v.GetPackages() {
		sh.row(p.GetName()+" "+p.GetInstalled(), joined(", ", cmp.Or(prefixed("fixed in ", p.GetFixed()), "not fixed yet"), p.GetEcosystem(), fmt.Sprint(p.GetAssets(), " assets")))
	}
	sh.heading("Assets")
	for _, a := range found.GetAssets() {
		sh.row(cmp.Or(a.GetName(), "-"), a.GetId())
	}
	s.sheet(sh)
	if more := int(v.GetAssets()) - len(found.GetAssets()); more > 0 {
		s.note("%d assets more are not shown", more)
	}
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

type vulnerabilitiesOfCommand struct {
	Asset string `arg:"" complete:"asset" help:"Id, name or serial number."`
}

// Run lists what is said of one asset.
func (cmd vulnerabilitiesOfCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, cmd.Asset)
	if err != nil {
		return err
	}
	path := "/v1/assets/" + url.PathEscape(id) + "/vulnerabilities"
	return printList(s, c.pages(s.ctx, path, "vulnerabilities", pageSize(listPage)), listing[*adminpb.Vulnerability]{key: "vulnerabilities",
		columns: []column{{"ID", 16, 0}, {"SEVERITY", 0, 0}, {"EXPLOITED", 0, 1}, {"PACKAGE", 12, 0}, {"INSTALLED", 12, 1}, {"FIXED IN", 12, 0}, {"TITLES", 12, 3}, {"SUMMARY", 20, 3}},
		row: func(t *table, v *adminpb.Vulnerability) {
			for _, p := range v.GetPackages() {
				t.add(v.GetId(), severityOf(v), exploited(v), p.GetName(), p.GetInstalled(), p.GetFixed(), strings.Join(p.GetTitles(), ", "), v.GetSummary())
			}
		},
		none: func() error { return cmd.none(s, c, path) }})
}

// none says what it means that nothing is listed.
func (vulnerabilitiesOfCommand) none(s *session, c *client, path string) error {
	raw, err := c.get(s.ctx, path, url.Values{"page_size": {"1"}})
	if err != nil {
		return err
	}
	found := new(adminpb.ListAssetVulnerabilitiesResponse)
	if err := decode(raw, found); err != nil {
		return err
	}
	if !found.GetCovered() {
		s.note("it is not known: %s", found.GetReason())
		return nil
	}
	s.note("nothing is known of its %d packages, compared as %s", found.GetCompared(), found.GetSystem())
	return nil
}

type vulnerabilitiesStatusCommand struct{}

// Run tells which advisories are held.
func (vulnerabilitiesStatusCommand) Run(s *session) error {
	return fetch(s, "/v1/advisories/status", nil, s.advisories, "data")
}

func (s *session) advisories(held *adminpb.AdvisoryStatus) {
	if len(held.GetData()) == 0 {
		s.note("no advisories are held: see rollcall-collector advisories import --help")
	}
	t := &table{columns: []column{{"NAME", 12, 0}, {"IMPORTED", 0, 0}, {"NEWEST", 0, 0}, {"ADVISORIES", 0, 0}, {"PACKAGES", 0, 1}, {"LEFT OUT", 12, 2}, {"SYSTEMS", 16, 2}, {"FROM", 16, 3}}}
	for _, d := range held.GetData() {
		var left []string
		for _, x := range d.GetSkipped() {
			left = append(left, fmt.Sprint(x.GetCount(), " ", x.GetReason()))
		}
		t.add(d.GetName(), s.ago(d.GetImportedAt()), s.ago(d.GetNewest()), fmt.Sprint(d.GetAdvisories()+d.GetExploited()), fmt.Sprint(d.GetPackages()), strings.Join(left, ", "), strings.Join(d.GetSystems(), ", "), d.GetFrom())
	}
	if len(t.rows) > 0 {
		s.table(t)
	}
	for _, p := range held.GetProblems() {
		s.note("%s cannot be read, since %s: %s", p.GetName(), s.ago(p.GetSince()), p.GetText())
	}
}
