package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// listed says where values come from that a list of the API has.
type listed struct {
	path, key string
	// values are the fields that may be typed, the best first; help tells more.
	values, help []string
	// searches says that the collector finds words in the list.
	searches bool
	query    url.Values
}

// lists are the values that are asked for, by what the tag complete says.
var lists = map[string]listed{
	"asset": {path: "/v1/assets", key: "assets", values: []string{"name", "hardware.serial", "id"}, help: []string{"class", "os.name", "owner.email"}, searches: true,
		query: url.Values{"fields": {"id,name,class,os.name,hardware.serial,owner.email"}}},
	"person":       {path: "/v1/people", key: "people", values: []string{"emails", "upn", "account", "employee_id", "id"}, help: []string{"name", "department"}, searches: true},
	"title":        {path: "/v1/software", key: "software", values: []string{"id", "name"}, help: []string{"name", "kind"}, searches: true},
	"rule":         {path: "/v1/rules", key: "rules", values: []string{"id"}, help: []string{"title"}},
	"feed":         {path: "/v1/feeds", key: "feeds", values: []string{"id"}, help: []string{"title"}},
	"view":         {path: "/v1/views", key: "views", values: []string{"id"}, help: []string{"title", "filter"}},
	"subscription": {path: "/v1/subscriptions", key: "subscriptions", values: []string{"id"}},
	"agent":        {path: "/v1/agents", key: "agents", values: []string{"id"}, help: []string{"hostname"}},
	"token":        {path: "/v1/tokens", key: "tokens", values: []string{"id"}, help: []string{"name", "person", "kind"}},
	"erasure":      {path: "/v1/erasures", key: "erasures", values: []string{"id"}, help: []string{"reason"}},
	"advisory":     {path: "/v1/vulnerabilities", key: "vulnerabilities", values: []string{"id", "aliases"}, help: []string{"summary"}, searches: true},
}

// known returns the values of a kind that begin with a word.
func (c *completion) known(kind, word string) []candidate {
	if l, ok := lists[kind]; ok {
		return c.listed(l, word)
	}
	switch kind {
	case "file":
		c.then = thenFiles
	case "filter":
		return c.filter(word)
	case "findings-filter":
		return c.filter(word, candidate{value: "finding.", help: "a field of the finding"})
	case "field", "order", "fields", "set", "findings-by", "findings-order", "people-order":
		return c.fieldsOf(kind, word)
	}
	return nil
}

// ask asks the collector that the command line names; nil is no answer.
func (c *completion) ask(path string, query url.Values) []byte {
	to := connection{URL: c.given["url"], CAFile: c.given["ca-file"]}
	if f := c.given["token-file"]; f != "-" { // what is typed there is not for us
		to.TokenFile = f
	}
	s := &session{ctx: c.ctx, world: c.world, connection: to}
	cl, err := s.open()
	if err != nil {
		return nil
	}
	raw, err := cl.get(c.ctx, path, query)
	if err != nil {
		return nil
	}
	return raw
}

// listed returns the values of a list that begin with a word, whatever its case.
func (c *completion) listed(l listed, word string) []candidate {
	query := url.Values{}
	for k, v := range l.query {
		query[k] = v
	}
	query.Set("page_size", "200")
	if l.searches && word != "" && len(word) <= maxSearch {
		query.Set("search", word)
	}
	if !l.searches && l.key != "views" && l.key != "tokens" && l.key != "agents" && l.key != "erasures" {
		query.Del("page_size") // these lists have no pages
	}
	var answer map[string]json.RawMessage
	var items []any
	if json.Unmarshal(c.ask(l.path, query), &answer) != nil || json.Unmarshal(answer[l.key], &items) != nil {
		return nil
	}
	var out []candidate
	for _, item := range items {
		var help []string
		for _, f := range l.help {
			help = append(help, plainCell(at(item, f)))
		}
		if v := firstBeginning(item, l.values, word); v != "" {
			id, _ := at(item, "id").(string)
			out = append(out, candidate{value: v, help: list(help...), id: id})
		}
	}
	return unambiguous(out)
}

// firstBeginning returns the first of some fields that begins with a word.
func firstBeginning(item any, fields []string, word string) string {
	for _, f := range fields {
		for _, v := range texts(at(item, f)) {
			if len(v) >= len(word) && v != "" && strings.EqualFold(v[:len(word)], word) {
				return v
			}
		}
	}
	return ""
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, texts(x)...)
		}
		return out
	}
	return nil
}

// unambiguous has the id of each of several things that are called the same in the
// place of what they are called.
func unambiguous(found []candidate) []candidate {
	called := make(map[string]int)
	for _, f := range found {
		called[f.value]++
	}
	for i, f := range found {
		if called[f.value] > 1 {
			found[i].value, found[i].help = or(f.id, f.value), list(f.value, f.help)
		}
	}
	return found
}

// labels returns the names of the labels that some of the fleet has.
func (c *completion) labels() []string {
	var answer struct {
		Assets []struct {
			Labels map[string]string `json:"labels"`
		} `json:"assets"`
	}
	if json.Unmarshal(c.ask("/v1/assets", url.Values{"fields": {"labels"}, "page_size": {"200"}}), &answer) != nil {
		return nil
	}
	var out []string
	for _, a := range answer.Assets {
		for name := range a.Labels {
			out = append(out, "labels."+name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// valuesOf returns the values that a field has on the fleet, the most frequent
// first.
func (c *completion) valuesOf(field, word string) []candidate {
	groups := new(adminpb.GroupAssetsResponse)
	raw := c.ask("/v1/assets:group", url.Values{"by": {field}, "limit": {"100"}})
	if raw == nil || decode(raw, groups) != nil {
		return nil
	}
	var out []candidate
	for _, g := range groups.GetGroups() {
		if v := g.GetValue(); v != "" && strings.HasPrefix(v, word) {
			out = append(out, candidate{value: v, help: number(&g.Count, "assets")})
		}
	}
	return out
}
