package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// PeopleOrders are the fields by which people can be ordered.
var PeopleOrders = []string{"name", "email", "department", "title", "status"}

// people holds what is asked of all people at once. It follows the catalog.
type people struct {
	mu   sync.Mutex
	rows map[string]*personRow
	// ended holds the sequence with which a person ended, so that a change that
	// was overtaken by it does not bring them back.
	ended map[string]uint64
	// sorted holds the rows in each order that was asked for since the last
	// change.
	sorted map[string][]*personRow
}

// maxOrderText bounds what is compared of a value, in bytes, so that it fits the
// place where a page ends.
const maxOrderText = 256

type personRow struct {
	id       string
	sequence uint64
	// order holds the values of PeopleOrders in lower case.
	order [5]string
	// text is what the search looks into, in lower case.
	text      string
	addresses []string
}

func newPeople() *people {
	return &people{rows: make(map[string]*personRow), ended: make(map[string]uint64), sorted: make(map[string][]*personRow)}
}

func newPersonRow(p *adminpb.Person, sequence uint64) *personRow {
	r := &personRow{id: p.GetId(), sequence: sequence}
	email := p.GetUpn()
	if len(p.GetEmails()) > 0 {
		email = p.GetEmails()[0]
	}
	for i, v := range []string{p.GetName(), email, p.GetDepartment(), p.GetTitle(), p.GetStatus()} {
		r.order[i] = strings.ToLower(v)
		r.order[i] = r.order[i][:min(len(r.order[i]), maxOrderText)]
	}
	for _, e := range append(slices.Clone(p.GetEmails()), p.GetUpn()) {
		if e = strings.ToLower(e); e != "" && !slices.Contains(r.addresses, e) {
			r.addresses = append(r.addresses, e)
		}
	}
	words := append(slices.Clone(r.addresses), p.GetName(), p.GetGivenName(), p.GetFamilyName(), p.GetAccount(), p.GetEmployeeId(), p.GetDepartment(), p.GetTitle(), p.GetCostCenter(), p.GetLocation().GetSite())
	r.text = strings.ToLower(strings.Join(words, "\n"))
	r.text = r.text[:min(len(r.text), maxSearchText)]
	return r
}

// apply takes in a change of the catalog; one that is outdated changes nothing.
func (p *people) apply(c catalog.PersonChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.rows[c.PersonID]
	if held != nil && held.sequence > c.Sequence || p.ended[c.PersonID] > c.Sequence {
		return
	}
	clear(p.sorted)
	if c.Person == nil {
		delete(p.rows, c.PersonID)
		p.ended[c.PersonID] = c.Sequence
		return
	}
	p.rows[c.PersonID] = newPersonRow(c.Person, c.Sequence)
}

// load adds the people that are stored.
func (p *people) load(ctx context.Context, st *store.Store) error {
	err := st.View(ctx, func(tx *store.Tx) error {
		return tx.ScanPeople("", func(one *adminpb.Person) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.rows[one.GetId()] == nil && p.ended[one.GetId()] == 0 {
				p.rows[one.GetId()] = newPersonRow(one, 0)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("load the people into memory: %w", err)
	}
	return nil
}

// PeopleQuery asks for people.
type PeopleQuery struct {
	// Search are words, each of which must be found.
	Search string
	// Status and Department are compared whatever the case; empty means all.
	Status, Department string
	// OrderBy is one of PeopleOrders, which "desc" after a space turns round;
	// empty is by name. What is not stated comes last either way.
	OrderBy string
	// After is the Last of the page before, which must be of the same query.
	After string
	Limit int
}

// PeoplePage is what a PeopleQuery found.
type PeoplePage struct {
	IDs []string
	// Devices counts the assets that are with each of IDs.
	Devices []int
	Total   int
	// Last is where the next page begins, empty on the last page.
	Last string
}

// People answers a query. An error that is a *QueryError tells what is wrong
// with the query.
func (p Part) People(q PeopleQuery) (*PeoplePage, error) {
	rows, by, desc, err := p.people.ordered(q.OrderBy)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(strings.ToLower(q.Search))
	status, department := strings.ToLower(q.Status), strings.ToLower(q.Department)
	after, id, paged := strings.Cut(q.After, "\x00")
	if q.After != "" && !paged {
		return nil, ErrPosition
	}
	page := new(PeoplePage)
	count := p.counts()
	var last *personRow
	for _, r := range rows {
		// Who may see a part of the fleet may see the people who have some of it.
		if !r.matches(words, status, department) || p.scope != nil && count(r.addresses) == 0 {
			continue
		}
		page.Total++
		if paged && comparePeople(r.order[by], r.id, after, id, desc) <= 0 {
			continue
		}
		if len(page.IDs) == q.Limit {
			page.Last = last.order[by] + "\x00" + last.id
			continue
		}
		last = r
		page.IDs, page.Devices = append(page.IDs, r.id), append(page.Devices, count(r.addresses))
	}
	return page, nil
}

func (r *personRow) matches(words []string, status, department string) bool {
	if status != "" && r.order[4] != status || department != "" && r.order[2] != department {
		return false
	}
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(r.text, w) })
}

// ordered returns all rows in an order, which the caller must not modify.
func (p *people) ordered(order string) (rows []*personRow, by int, desc bool, err error) {
	name, direction, _ := strings.Cut(strings.TrimSpace(order), " ")
	if name == "" {
		name = PeopleOrders[0]
	}
	if by = slices.Index(PeopleOrders, name); by < 0 || direction != "" && direction != "desc" && direction != "asc" {
		return nil, 0, false, &QueryError{"order_by", fmt.Errorf("%.100q is none of: %s, with desc after it to turn the order round", order, strings.Join(PeopleOrders, ", "))}
	}
	desc = direction == "desc"
	key := fmt.Sprint(by, desc)
	p.mu.Lock()
	defer p.mu.Unlock()
	if rows = p.sorted[key]; rows != nil {
		return rows, by, desc, nil
	}
	rows = make([]*personRow, 0, len(p.rows))
	for _, r := range p.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *personRow) int { return comparePeople(a.order[by], a.id, b.order[by], b.id, desc) })
	p.sorted[key] = rows
	return rows, by, desc, nil
}

// comparePeople orders by a value and then by the id; an empty value comes last.
func comparePeople(a, aID, b, bID string, desc bool) int {
	if (a == "") != (b == "") {
		return cmp.Compare(b, a)
	}
	c := cmp.Compare(a, b)
	if desc {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(aID, bID))
}
