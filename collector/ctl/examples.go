package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// examples are how each command is used. They are part of its help and of
// docs/cli.md; a test parses each, and runs those that change nothing against a
// collector that has what they name.
var examples = map[string][]string{
	"login":  {"rollcall login --url https://rollcall.example.com:8470", "rollcall login --no-browser", "rollcall login --url https://rollcall.example.com:8470 --token-file FILE"},
	"logout": {"rollcall logout"},
	"whoami": {"rollcall whoami", "rollcall whoami -o json"},

	"assets list": {"rollcall assets", `rollcall assets list --filter 'asset.os.family == "linux" && has_software("openssl", "< 3.0.13")' --order-by 'last_seen desc'`,
		"rollcall assets list --search lt-47 --fields name,hardware.serial,labels.site", "rollcall assets list --view stale-laptops -o csv"},
	"assets show":     {"rollcall assets show lt-4711", "rollcall assets show PF3ABCD0 -o yaml"},
	"show":            {"rollcall show lt-4711", "rollcall show PF3ABCD0 -o json"},
	"search":          {"rollcall search ann", "rollcall search openssl --kind software", "rollcall search lt-47 --kind asset,person -o csv"},
	"group":           {"rollcall group os.version", `rollcall group labels.site --filter 'asset.class == "laptop"'`, "rollcall group --view stale-laptops -o csv"},
	"software of":     {"rollcall software lt-4711", "rollcall software of lt-4711 -o csv", "rollcall software    # of all assets, as top"},
	"software top":    {"rollcall software top", "rollcall software top --search ssl --limit 10"},
	"software assets": {"rollcall software assets openssl", `rollcall software assets openssl --version 3.0.11 --filter 'asset.labels.site == "oslo"'`},
	"history":         {"rollcall history lt-4711", "rollcall history lt-4711 --field os"},
	"explain":         {"rollcall explain lt-4711"},
	"export":          {"rollcall export --file fleet.xlsx", `rollcall export --format csv --fields name,hardware.serial,owner.email --filter 'asset.class == "laptop"'`, "rollcall export --software | gzip > software.ndjson.gz"},
	"watch":           {"rollcall watch", "rollcall watch --kind created,withdrawn -o json", "rollcall watch lt-4711 --cursor oldest --once"},
	"set":             {"rollcall set lt-4711 owner.email=ann@example.com labels.site=berlin stage=in_repair", "rollcall set lt-4711 owner.email=", "rollcall set lt-4711 --not-same-as jamf/computer/9"},

	"views list": {"rollcall views", "rollcall assets list --view stale-laptops"},
	"views show": {"rollcall views show stale-laptops"},
	"views create": {`rollcall views create stale --filter 'asset.class == "laptop" && age(asset.last_seen) > days(30)' --order-by last_seen --fields name,owner.email,last_seen`,
		`rollcall views create systems --group-by os.version --shared && rollcall group --view systems`},
	"views update": {`rollcall views update stale-laptops --filter 'age(asset.last_seen) > days(60)' --no-shared`, `rollcall views update stale-laptops --fields ''    # all fields again`},
	"views delete": {"rollcall views delete stale-laptops"},

	"people list":     {"rollcall people", "rollcall people ann --department Finance", "rollcall people list --status departed --order-by 'name desc' -o csv"},
	"people show":     {"rollcall people show ann@example.com", "rollcall people show 1001"},
	"people context":  {"rollcall people context ann@example.com"},
	"people explain":  {"rollcall people explain ann@example.com"},
	"people history":  {"rollcall people history ann@example.com", "rollcall people history ann@example.com --field department"},
	"people assert":   {"rollcall people assert ann@example.com department=Finance manager=bob@example.com", "rollcall people assert ann@example.com --same-as 1002"},
	"people erase":    {"rollcall people erase ann@example.com", `rollcall people erase ann@example.com --reason "request 17" --yes`},
	"people erasures": {"rollcall people erasures"},
	"people readmit":  {"rollcall people readmit 01a2108d-726b-7517-ac94-ce3e80897e06"},

	"findings list": {"rollcall findings", "rollcall findings lt-4711 --severity critical",
		`rollcall findings --filter 'finding.severity in ["critical", "high"] && asset.labels.site == "berlin"' --order-by 'opened_at desc'`, "rollcall findings --department Finance -o csv"},
	"findings count":       {"rollcall findings count rule", "rollcall findings count owner.department --state open"},
	"findings waive":       {`rollcall findings waive lt-4711 disk-encryption --until 90d --reason "demonstration unit, no data"`},
	"findings acknowledge": {"rollcall findings acknowledge lt-4711 disk-encryption --reason OPS-12"},
	"findings reopen":      {"rollcall findings reopen lt-4711 disk-encryption"},
	"compliance":           {"rollcall compliance", "rollcall compliance --days 90 -o csv"},
	"rules list":           {"rollcall rules", "rollcall rules -o yaml"},
	"rules try":            {"rollcall rules try chrome.yaml"},
	"rules put":            {"rollcall rules put chrome-present chrome.yaml"},
	"rules delete":         {"rollcall rules delete chrome-present"},

	"vulnerabilities list":   {"rollcall vulnerabilities", "rollcall vulnerabilities openssl --severity critical --fixable"},
	"vulnerabilities show":   {"rollcall vulnerabilities show CVE-2026-7002"},
	"vulnerabilities of":     {"rollcall vulnerabilities of lt-4711"},
	"vulnerabilities status": {"rollcall vulnerabilities status"},

	"subscriptions list": {"rollcall subscriptions"},
	"subscriptions show": {"rollcall subscriptions show siem"},
	"subscriptions create": {"rollcall subscriptions create soc --webhook https://siem.example.com/rollcall --findings opened,resolved --severity critical",
		"rollcall subscriptions create ops --slack @slack-url --severity critical,high --window 10m",
		"rollcall subscriptions create owners --email it@example.com --field owner --field stage --daily 08:00 --time-zone Europe/Berlin"},
	"subscriptions test":          {"rollcall subscriptions test siem"},
	"subscriptions pause":         {"rollcall subscriptions pause siem"},
	"subscriptions resume":        {"rollcall subscriptions resume siem"},
	"subscriptions rotate-secret": {"rollcall subscriptions rotate-secret siem --overlap 24h"},
	"subscriptions delete":        {"rollcall subscriptions delete siem"},
	"subscriptions dead-letters":  {"rollcall subscriptions dead-letters siem"},
	"subscriptions retry":         {"rollcall subscriptions retry siem"},

	"feeds list":   {"rollcall feeds", "rollcall feeds -o json"},
	"feeds run":    {"rollcall feeds run jamf --full"},
	"feeds pause":  {"rollcall feeds pause jamf"},
	"feeds resume": {"rollcall feeds resume jamf"},
	"feeds create": {"rollcall feeds create jamf --vendor jamf_pro --set url=https://acme.jamfcloud.com --set client_id=1234 --set client_secret=@jamf.secret"},
	"feeds update": {"rollcall feeds update jamf --every 30m", "rollcall feeds update jamf --clear every"},
	"feeds delete": {"rollcall feeds delete jamf --withdraw"},
	"feeds test":   {"rollcall feeds test jamf --limit 2", "rollcall feeds test --manifest hr.yaml --set token=@hr.token"},

	"tokens list": {"rollcall tokens", "rollcall tokens -o csv"},
	"tokens create": {`rollcall tokens create --kind enroll --name "laptops, May" --uses 500 --expires 30d --label site=berlin --agent-config agent.yaml --collector rollcall.example.com:8471`,
		`rollcall tokens create --kind api --role viewer --name "assistant Berlin" --scope label.site=berlin --expires 90d`},
	"tokens revoke": {"rollcall tokens revoke 4f2k7q3m", "rollcall tokens revoke --person ann@example.com"},
	"audit list":    {"rollcall audit --last 24h", "rollcall audit --action token -o csv"},
	"audit verify":  {"rollcall audit verify"},
	"agents list":   {"rollcall agents", "rollcall agents -o csv"},
	"agents revoke": {"rollcall agents revoke 4f2k7q3m --reason lost"},

	"completion": {"rollcall completion bash", "rollcall completion fish > ~/.config/fish/completions/rollcall.fish"},
	"version":    {"rollcall version"},
}

// showExamples puts the examples into the help of all commands.
func showExamples(model *kong.Node) {
	for _, n := range model.Leaves(false) {
		if lines := examples[commandName(n)]; len(lines) > 0 {
			n.Detail = strings.TrimSpace(n.Detail + "\n\nExamples:\n\n  " + strings.Join(lines, "\n  "))
		}
	}
}

// commandName returns what is typed behind rollcall for a command.
func commandName(n *kong.Node) string {
	var words []string
	for ; n != nil && n.Type == kong.CommandNode; n = n.Parent {
		words = append(words, n.Name)
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}
