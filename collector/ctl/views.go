package main

import (
	"net/http"
	"net/url"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type viewsCommands struct {
	List   viewsListCommand   `cmd:"" default:"withargs" help:"List your views, and those that are shared."`
	Show   viewsShowCommand   `cmd:"" help:"Show one view."`
	Create viewsCreateCommand `cmd:"" help:"Keep a question for assets under a name."`
	Update viewsUpdateCommand `cmd:"" help:"Change a view."`
	Delete viewsDeleteCommand `cmd:"" help:"Forget a view."`
}

type viewsListCommand struct{}

// Run lists the views.
func (viewsListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	return printList(s, c.pages(s.ctx, "/v1/views", "views", pageSize(listPage)), listing[*adminpb.SavedView]{key: "views", columns: viewColumns(), row: addView,
		none: s.nothing("no views yet: see rollcall views create --help")})
}

func viewColumns() []column {
	return []column{{"VIEW", 12, 0}, {"TITLE", 12, 3}, {"FILTER", 20, 1}, {"SEARCH", 8, 4}, {"ORDER BY", 8, 4}, {"FIELDS", 8, 5}, {"GROUP BY", 8, 5}, {"SHARED", 0, 2}, {"OWNER", 0, 2}}
}

func addView(t *table, v *adminpb.SavedView) {
	t.add(v.GetId(), v.GetTitle(), v.GetFilter(), v.GetSearch(), v.GetOrderBy(), v.GetFields(), v.GetGroupBy(), truth(v.GetShared()), v.GetOwner())
}

func truth(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// oneView names a view.
type oneView struct {
	View string `arg:"" complete:"view" help:"Id of the view, as the list has it."`
}

func viewPath(id string) string { return "/v1/views/" + url.PathEscape(id) }

type viewsShowCommand struct{ oneView }

// Run shows a view.
func (cmd viewsShowCommand) Run(s *session) error {
	return fetch(s, viewPath(cmd.View), nil, func(v *adminpb.SavedView) {
		t := &table{columns: viewColumns()}
		addView(t, v)
		s.table(t)
	})
}

// viewFields is what a view has. What is not given is left as it is; an empty text
// is given, too.
type viewFields struct {
	Title   *string `placeholder:"TEXT" help:"What it is called."`
	Filter  *string `placeholder:"CEL" complete:"filter" help:"Condition, as for assets list."`
	Search  *string `placeholder:"WORDS" help:"Words, as for assets list."`
	OrderBy *string `placeholder:"FIELD" complete:"order" help:"Field to sort by; \"last_seen desc\" is the latest first."`
	Fields  *string `placeholder:"PATHS" complete:"fields" help:"Comma-separated fields to show, as in name,hardware.serial."`
	GroupBy *string `placeholder:"FIELD" complete:"field" help:"Field that rollcall group counts by."`
	Shared  *bool   `negatable:"" help:"Let everybody with a token use it."`
}

// given returns what was given, as the API takes it, and the names of its fields.
func (f viewFields) given() (view map[string]any, names []string) {
	view = make(map[string]any)
	for name, value := range map[string]*string{"title": f.Title, "filter": f.Filter, "search": f.Search, "order_by": f.OrderBy, "fields": f.Fields, "group_by": f.GroupBy} {
		if value != nil {
			view[name] = *value
			names = append(names, name)
		}
	}
	if f.Shared != nil {
		view["shared"] = *f.Shared
		names = append(names, "shared")
	}
	return view, names
}

type viewsCreateCommand struct {
	oneView
	viewFields
}

// Run keeps a view.
func (cmd viewsCreateCommand) Run(s *session) error {
	view, _ := cmd.given()
	view["id"] = cmd.View
	return s.change(http.MethodPost, "/v1/views", view, "view "+cmd.View+" is kept; `rollcall assets list --view "+cmd.View+"` asks it")
}

type viewsUpdateCommand struct {
	oneView
	viewFields
}

// Run changes a view.
func (cmd viewsUpdateCommand) Run(s *session) error {
	view, names := cmd.given()
	if len(names) == 0 {
		return fail(exitUsage, "nothing is to be changed: give one of --title, --filter, --search, --order-by, --fields, --group-by, --shared, --no-shared")
	}
	return s.change(http.MethodPatch, viewPath(cmd.View), map[string]any{"view": view, "fields": strings.Join(names, ",")}, "view "+cmd.View+" is changed")
}

type viewsDeleteCommand struct{ oneView }

// Run forgets a view.
func (cmd viewsDeleteCommand) Run(s *session) error {
	return s.change(http.MethodDelete, viewPath(cmd.View), nil, "view "+cmd.View+" is deleted")
}
