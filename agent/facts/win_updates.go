package facts

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// neverDone are updates that Windows goes on offering although they are done,
// or can never be: whoever counts them is never up to date.
var neverDone = []string{
	"KB2267602", // Defender's signatures, of which there are new ones several times a day
	"KB4052623", // Defender's own platform, which updates itself
	"KB915597",  // the signatures of Windows Defender before it scanned for viruses
	"KB890830",  // the malicious software removal tool: it runs and goes
	"KB5034439", // the recovery environment: fails for ever where there is none, or no room for it
	"KB5034440",
	"KB5034441",
	"KB5057589",
}

// categories of updates have names, and so have these that count.
const (
	categoryDefinitions = "e0789628-ce08-4437-be74-2495b842f43b"
	categorySecurity    = "0fa1201d-4330-4fa8-8ae9-b877473b6441"
)

// learnWinPending lists the updates that Windows knows are missing, as its
// update agent found them last; it does not go and look. Optional ones, and
// those that are done already, are left out.
func learnWinPending(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	rows, ok := q.ask(ctx, "pending_updates")
	if !ok {
		return q.err("the update agent cannot be asked")
	}
	done := make(map[string]bool)
	for _, u := range d.GetPatch().GetInstalled() {
		done[u.Id] = true
	}
	for _, id := range neverDone {
		done[id] = true
	}
	var out []*pb.PendingUpdate
	for _, row := range rows {
		if u := pendingUpdate(row); u != nil && !done[u.Id] {
			out = append(out, u)
		}
	}
	var checked time.Time
	for _, row := range q.rows(ctx, "update_results") {
		if t := oleTime(row["LastSearchSuccessDate"]); !t.IsZero() {
			checked = t
		}
	}
	q.bad.add(addPending(d, out, checked))
	return q.bad.err()
}

// pendingUpdate is one update of the search, nil for one that nobody need have.
func pendingUpdate(row queryRow) *pb.PendingUpdate {
	categories := strings.ToLower(row["Categories.CategoryID"])
	if row.is("BrowseOnly") || row.is("IsHidden") || row.is("IsInstalled") || strings.Contains(categories, categoryDefinitions) {
		return nil
	}
	u := &pb.PendingUpdate{Id: strings.ToUpper(row.text("Identity.UpdateID")), Title: row.text("Title")}
	if number, _, _ := strings.Cut(row.text("KBArticleIDs"), ";"); number != "" {
		u.Id = "KB" + strings.TrimPrefix(strings.ToUpper(number), "KB")
	} else if number := kb().FindString(u.Title); number != "" {
		u.Id = strings.ToUpper(number)
	}
	if u.Id == "" {
		return nil
	}
	u.Severity = strings.ToLower(row.text("MsrcSeverity"))
	switch {
	case rank(u.Severity) < len(severities):
	case strings.Contains(categories, categorySecurity):
		u.Severity = severitySecurity
	default:
		u.Severity = severityNone
	}
	for _, cve := range strings.Split(row.text("CveIDs"), ";") {
		if strings.HasPrefix(cve, "CVE-") && len(u.Cves) < maxCVEs {
			u.Cves = append(u.Cves, cve)
		}
	}
	slices.Sort(u.Cves)
	u.PublishedAt = stamp(oleTime(row["LastDeploymentChangeTime"]))
	return u
}

// oleTime reads a time as the host writes those of COM, zero for none: the
// beginning of COM's calendar, in 1899, among them.
func oleTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339, cmp.Or(text, "-"))
	if err != nil || t.Year() < 1990 {
		return time.Time{}
	}
	return t
}
