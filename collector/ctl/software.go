package main

import (
	"net/url"
	"strconv"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type softwareCommands struct {
	Of     softwareCommand       `cmd:"" default:"withargs" help:"List the software of an asset."`
	Top    softwareTopCommand    `cmd:"" help:"List the software of all assets, the most installed first."`
	Assets softwareAssetsCommand `cmd:"" help:"List the assets that have a software."`
}

type softwareCommand struct {
	Asset string `arg:"" optional:"" complete:"asset" help:"Id, name or serial number of an asset; without one, the software of all, as top lists it."`
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

type softwareAssetsCommand struct {
	Title   string `arg:"" complete:"title" help:"Id of the software, as top lists it, or its name."`
	Version string `placeholder:"VERSION" help:"Only of this version."`
	Filter  string `placeholder:"CEL" complete:"filter" help:"Only assets on which this holds, as for assets list."`
	OrderBy string `placeholder:"FIELD" complete:"order" help:"Field to sort by; \"last_seen desc\" is the latest first."`
}

// Run lists the assets that have a software.
func (cmd softwareAssetsCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.findTitle(c, cmd.Title)
	if err != nil {
		return err
	}
	query := pageSize(listPage)
	query.Set("fields", listFields)
	for name, value := range map[string]string{"version": cmd.Version, "filter": cmd.Filter, "order_by": cmd.OrderBy} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return printList(s, c.pages(s.ctx, "/v1/software/"+url.PathEscape(id)+"/assets", "assets", query), s.assets("no asset has it"))
}

// findTitle returns the id of the software that a person means by its id or its
// name; one that several kinds of package have is no name.
func (s *session) findTitle(c *client, ref string) (string, error) {
	var found, kinds []string
	query := pageSize(topPage)
	query.Set("search", ref)
	err := each(c.pages(s.ctx, "/v1/software", "software", query), func(x *adminpb.SoftwareTitle) {
		if strings.EqualFold(x.GetName(), ref) {
			found, kinds = append(found, x.GetId()), append(kinds, x.GetId()+" ("+x.GetKind()+")")
		}
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fail(exitError, "%d kinds of software have the name %q: name one by its id: %s", len(found), ref, strings.Join(kinds[:min(10, len(kinds))], ", "))
	}
	return ref, nil // it is an id, or the collector says that it is none
}

type groupCommand struct {
	By string `arg:"" optional:"" complete:"field" help:"Field to count by, as in os.version or labels.site; without it, what --view counts by."`
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
