package main

import (
	"net/url"
	"strconv"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type softwareCommands struct {
	Of  softwareCommand    `cmd:"" default:"withargs" help:"List the software of an asset."`
	Top softwareTopCommand `cmd:"" help:"List the software of all assets, the most installed first."`
}

type softwareCommand struct {
	Asset string `arg:"" optional:"" help:"Id, name or serial number of an asset; without one, the software of all, as top lists it."`
}

// Run lists the software of an asset.
func (cmd softwareCommand) Run(s *session) error {
	if cmd.Asset == "" {
		return softwareTopCommand{Limit: 50}.Run(s)
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, cmd.Asset)
	if err != nil {
		return err
	}
	return printList(s, c.pages(s.ctx, assetPath(id)+"/software", "software", pageSize(softwarePage)), listing[*pb.Software]{key: "software",
		columns: []column{
			{"NAME", 16, 0}, {"VERSION", 10, 0}, {"KIND", 0, 1}, {"ARCH", 0, 2}, {"PUBLISHER", 10, 5}, {"SIZE", 0, 4}, {"INSTALLED", 0, 3},
		},
		row: func(t *table, x *pb.Software) {
			t.add(x.GetName(), x.GetVersion(), x.GetKind(), x.GetArchitecture(), x.GetPublisher(), size(x.SizeBytes), s.ago(x.GetInstalledAt()))
		},
		none: s.nothing("no source says anything about software on this asset: `rollcall show %s` tells what its sources left out", id)})
}

type softwareTopCommand struct {
	Search string `placeholder:"TEXT" help:"Text that the name contains."`
	Limit  int    `default:"50" help:"The most to list; 0 for all."`
}

// topPage is the size of the pages of software to ask for.
const topPage = 500

// Run lists the software of all assets.
func (cmd softwareTopCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(topPage)
	if cmd.Limit > 0 {
		query = pageSize(min(cmd.Limit, topPage))
	}
	if cmd.Search != "" {
		query.Set("search", cmd.Search)
	}
	pages := upTo(c.pages(s.ctx, "/v1/software", "software", query), cmd.Limit)
	return printList(s, pages, listing[*adminpb.SoftwareTitle]{key: "software",
		columns: []column{{"NAME", 16, 0}, {"KIND", 0, 2}, {"PUBLISHER", 10, 3}, {"INSTALLS", 0, 0}, {"VERSIONS", 0, 1}, {"MOST", 8, 4}, {"ID", 0, 0}},
		row: func(t *table, x *adminpb.SoftwareTitle) {
			most := ""
			if len(x.GetVersions()) > 0 {
				most = x.GetVersions()[0].GetVersion()
			}
			t.add(x.GetName(), x.GetKind(), x.GetPublisher(), strconv.Itoa(int(x.GetInstalls())), strconv.Itoa(len(x.GetVersions())), most, x.GetId())
		},
		none: s.nothing("no asset has such software, or none states any")})
}

type groupCommand struct {
	By string `arg:"" optional:"" help:"Field to count by, as in os.version or labels.site; without it, what --view counts by."`
	selection
	Limit int `default:"100" help:"The most groups to list."`
}

// Run counts assets by the values of a field.
func (cmd groupCommand) Run(s *session) error {
	if cmd.By == "" && cmd.View == "" {
		return fail(exitUsage, "name the field to count by, as in rollcall group os.version")
	}
	query := url.Values{"by": {cmd.By}, "limit": {strconv.Itoa(cmd.Limit)}}
	cmd.set(query)
	return fetch(s, "/v1/assets:group", query, func(groups *adminpb.GroupAssetsResponse) { cmd.tell(s, groups) }, "groups")
}

func (cmd groupCommand) tell(s *session, groups *adminpb.GroupAssetsResponse) {
	t := &table{columns: []column{{strings.ToUpper(or(cmd.By, "value")), 16, 0}, {"ASSETS", 0, 0}}}
	for _, g := range groups.GetGroups() {
		t.add(or(g.GetValue(), "(not stated)"), strconv.Itoa(int(g.GetCount())))
	}
	s.table(t)
	if groups.GetOtherSize() > 0 {
		s.note("%d more assets are in %d more groups: ask for them with --limit", groups.GetOtherSize(), int(groups.GetTotalGroups())-len(groups.GetGroups()))
	}
}
