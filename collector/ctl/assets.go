package main

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Sizes of the pages to ask for.
const (
	listPage     = 500
	softwarePage = 5000
)

// maxSearch is the longest text that the API searches for, in bytes.
const maxSearch = 256

type assetsCommands struct {
	List assetsListCommand `cmd:"" default:"withargs" help:"List assets."`
	Show assetsShowCommand `cmd:"" help:"Show what is known of one asset."`
}

type assetsListCommand struct {
	selection
	OrderBy string `placeholder:"FIELD" complete:"order" help:"Field to sort by; \"last_seen desc\" is the latest first. Without it, by id."`
	Fields  string `placeholder:"PATHS" complete:"fields" help:"Comma-separated fields to show, as in name,hardware.serial,labels.site."`
}

// selection says which assets are meant.
type selection struct {
	Filter string `placeholder:"CEL" complete:"filter" help:"Condition, as in 'asset.os.family == \"linux\" && has_software(\"openssl\", \"< 3.0.13\")'. docs/api.md describes the language."`
	Search string `placeholder:"WORDS" help:"Words that are looked for in names, numbers, addresses, people and software."`
	View   string `placeholder:"VIEW" complete:"view" help:"Saved view whose condition and words must hold too; rollcall views lists them."`
}

func (x selection) set(query url.Values) {
	for key, value := range map[string]string{"filter": x.Filter, "search": x.Search, "view": x.View} {
		if value != "" {
			query.Set(key, value)
		}
	}
}

// listFields are those that the table shows.
const listFields = "id,name,class,last_seen,software_count,os.name,os.version,os.family,hardware.serial,hardware.manufacturer,hardware.model,owner.email,owner.name,primary_user.name"

// Run lists the assets that are meant, which are all unless something is said.
func (cmd assetsListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(listPage)
	cmd.set(query)
	if cmd.OrderBy != "" {
		query.Set("order_by", cmd.OrderBy)
	}
	l := s.assets("no asset is like that")
	if cmd.selection == (selection{}) {
		l.none = s.nothing("no assets yet: `rollcall token create --kind enroll` makes a token with which an agent reports its machine")
	}
	fields := cmd.Fields
	if s.inColumns() {
		chosen, err := s.chosenFields(c, cmd.Fields, cmd.View)
		if err != nil {
			return err
		}
		if len(chosen) > 0 {
			return s.printChosen(c, query, chosen, l)
		}
		fields = listFields
	}
	if fields != "" {
		query.Set("fields", fields)
	}
	return printList(s, c.pages(s.ctx, "/v1/assets", "assets", query), l)
}

// assets is how a list of assets is printed that has listFields; none is told where
// there are none.
func (s *session) assets(none string) listing[*pb.Asset] {
	return listing[*pb.Asset]{key: "assets", none: s.nothing("%s", none), fields: strings.Split(listFields, ","),
		columns: []column{
			{"NAME", 12, 0}, {"CLASS", 8, 4}, {"OS", 10, 1}, {"SERIAL", 10, 6}, {"MODEL", 10, 7}, {"OWNER", 10, 3}, {"LAST SEEN", 0, 2}, {"SOFTWARE", 0, 5}, {"ID", 0, 0},
		},
		row: func(t *table, a *pb.Asset) {
			h := a.GetHardware()
			t.add(a.GetName(), a.GetClass(), osName(a.GetOs()), h.GetSerial(), phrase(h.GetManufacturer(), h.GetModel()), owner(a),
				s.ago(a.GetLastSeen()), number(a.SoftwareCount, ""), a.GetId())
		}}
}

func osName(o *pb.Os) string {
	name := or(o.GetName(), o.GetFamily())
	if strings.Contains(name, o.GetVersion()) {
		return name
	}
	return phrase(name, o.GetVersion())
}

func owner(a *pb.Asset) string {
	return or(or(a.GetOwner().GetEmail(), a.GetOwner().GetName()), a.GetPrimaryUser().GetName())
}

type assetsShowCommand struct {
	Asset string `arg:"" complete:"asset" help:"Id, name or serial number."`
}

// Run shows one asset.
func (cmd assetsShowCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, cmd.Asset)
	if err != nil {
		return err
	}
	raw, err := c.get(s.ctx, assetPath(id), nil)
	if err != nil {
		return err
	}
	var failed error
	err = printAnswer(s, raw, func(a *pb.Asset) {
		states := new(adminpb.GetAssetSourceStatesResponse)
		raw, err := c.get(s.ctx, assetPath(id)+":sources", nil)
		if err == nil {
			err = decode(raw, states)
		}
		if failed = err; err == nil {
			s.show(a, s.hostName(c, a), states.GetSources())
		}
	})
	return errors.Join(err, failed)
}

// hostName returns the name of the machine that an asset is attached to, empty
// where there is none, or none that may be seen.
func (s *session) hostName(c *client, a *pb.Asset) string {
	to := a.GetAttachedTo()
	if to == nil {
		return ""
	}
	raw, err := c.get(s.ctx, assetPath(to.GetAssetId()), url.Values{"fields": {"name"}})
	host := new(pb.Asset)
	if err != nil || decode(raw, host) != nil {
		return ""
	}
	return host.GetName()
}

func assetPath(id string) string { return "/v1/assets/" + url.PathEscape(id) }

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// find returns the id of the asset that a person means by an id, a name or a
// serial number.
func (s *session) find(c *client, ref string) (string, error) {
	if uuid.MatchString(ref) {
		// Some machines are named like this as well.
		_, err := c.get(s.ctx, assetPath(strings.ToLower(ref)), url.Values{"fields": {"id"}})
		if exitCode(err) != exitNotFound {
			return strings.ToLower(ref), err
		}
	}
	query := pageSize(listPage)
	query.Set("fields", "id,name,hardware.serial")
	if len(ref) <= maxSearch {
		query.Set("search", ref) // finds parts as well, of which the whole is looked for below
	}
	var found []string
	err := each(c.pages(s.ctx, "/v1/assets", "assets", query), func(a *pb.Asset) {
		if strings.EqualFold(a.GetName(), ref) || strings.EqualFold(a.GetHardware().GetSerial(), ref) {
			found = append(found, a.GetId())
		}
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fail(exitNotFound, "no asset has the id, name or serial number %q: `rollcall assets list` shows them all", ref)
	case len(found) > 1:
		return "", fail(exitError, "%d assets have the name or serial number %q: name one by its id: %s", len(found), ref, strings.Join(found[:min(10, len(found))], ", "))
	}
	return found[0], nil
}
