package main

import (
	"fmt"
	"net/url"
	"strconv"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type complianceCommand struct {
	Days int `default:"30" help:"How many days back, 1 to 400."`
}

// Run tells how the fleet stands and stood.
func (cmd complianceCommand) Run(s *session) error {
	return fetch(s, "/v1/compliance", url.Values{"days": {strconv.Itoa(cmd.Days)}}, s.compliance, "now", "days")
}

func (s *session) compliance(all *adminpb.Compliance) {
	t := &table{columns: []column{{"DAY", 0, 0}, {"SCORE", 0, 0}, {"ASSETS", 0, 0}, {"FAILING", 0, 0}, {"CRITICAL", 0, 1}, {"HIGH", 0, 1}, {"MEDIUM", 0, 2}, {"LOW", 0, 2}, {"WAIVED", 0, 1}}}
	add := func(name string, d *adminpb.ComplianceDay) {
		score := ""
		if d.Score != nil {
			score = fmt.Sprintf("%.1f", d.GetScore())
		}
		row := []string{name, score, fmt.Sprint(d.GetAssets()), fmt.Sprint(d.GetFailing())}
		for _, severity := range []string{"critical", "high", "medium", "low"} {
			row = append(row, fmt.Sprint(d.GetOpen()[severity]))
		}
		t.add(append(row, fmt.Sprint(d.GetWaived()))...)
	}
	add("now", all.GetNow())
	for i := len(all.GetDays()) - 1; i >= 0; i-- {
		add(all.GetDays()[i].GetDay(), all.GetDays()[i])
	}
	s.table(t)
}
