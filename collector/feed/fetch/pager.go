package fetch

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// pager asks for one page after the other.
type pager struct {
	manifest.Pager
	nextPath, cursorPath, totalPath record.Path
}

// state is what is known after a page.
type state struct {
	at Bookmark
	// listed is how many records the page had, seen how many all pages had.
	listed, seen int
	total        int
}

func newPager(m manifest.Pager) (*pager, error) {
	p := &pager{Pager: m}
	var err error
	if p.nextPath, err = path(m.Next); err != nil {
		return nil, err
	}
	if p.totalPath, err = path(m.Total); err != nil {
		return nil, err
	}
	if m.Cursor != nil {
		p.cursorPath, err = path(m.Cursor.From)
	}
	return p, err
}

// turn changes a request for the first page into one for the page at a mark.
func (p *pager) turn(c *call, at Bookmark) error {
	q := c.url.Query()
	switch {
	case p.Page != nil:
		p.number(q, p.Page, at)
	case p.Offset != nil:
		p.number(q, p.Offset, at)
	case at.Next == "":
		return nil
	case p.Cursor != nil:
		q.Set(p.Cursor.Param, at.Next)
	default:
		u, err := parseAddress(at.Next)
		if err != nil {
			return err
		}
		c.url = u
		return nil
	}
	c.url.RawQuery = q.Encode()
	return nil
}

func (p *pager) number(q url.Values, n *manifest.NumberPager, at Bookmark) {
	number := at.Next
	if number == "" {
		number = strconv.Itoa(n.Start)
	}
	q.Set(n.Param, number)
	if n.SizeParam != "" {
		q.Set(n.SizeParam, strconv.Itoa(n.Size))
	}
}

// total returns how many records the system says there are, -1 for none.
func (p *pager) total(h http.Header, v any) int {
	var found any
	switch {
	case p.TotalHeader != "":
		found = h.Get(p.TotalHeader)
	case p.Total != "":
		found = p.totalPath.Get(v)
	}
	switch n := found.(type) {
	case int64:
		return int(max(n, -1))
	case string:
		if i, err := strconv.Atoi(n); err == nil && i >= 0 {
			return i
		}
	}
	return -1
}

// next returns what the next page is asked for by, empty after the last.
func (p *pager) next(asked *url.URL, h http.Header, v any, s state) (string, error) {
	switch {
	case p.Link:
		return sameSite(asked, linkNext(h))
	case p.Next != "":
		link, _ := p.nextPath.Get(v).(string)
		return sameSite(asked, link)
	case p.Cursor != nil:
		return p.cursor(v, s)
	case p.Page != nil:
		return p.counted(p.Page, s, 1)
	case p.Offset != nil:
		return p.counted(p.Offset, s, s.listed)
	}
	return "", nil
}

// cursor returns the token of the next page. A page without records ends the
// list, whatever token comes with it: some systems go on giving one.
func (p *pager) cursor(v any, s state) (string, error) {
	if s.listed == 0 && !p.Cursor.Gaps {
		return "", nil
	}
	switch t := p.cursorPath.Get(v).(type) {
	case nil:
		return "", nil
	case string:
		return noNone(t), nil
	case int64:
		return strconv.FormatInt(t, 10), nil
	case bool:
		if !t {
			return "", nil
		}
	}
	return "", fmt.Errorf("the token of the next page at %q is no text", p.Cursor.From)
}

// counted returns the number of the next page or record. A list ends with an
// empty page, or when the system has given as many as it says it has: a short
// page only means that the system gives fewer at once than was asked for.
func (p *pager) counted(n *manifest.NumberPager, s state, step int) (string, error) {
	if s.listed == 0 || s.total >= 0 && s.seen >= s.total {
		return "", nil
	}
	at := n.Start
	if s.at.Next != "" {
		var err error
		if at, err = strconv.Atoi(s.at.Next); err != nil {
			return "", fmt.Errorf("go on at %q: it is no number", s.at.Next)
		}
	}
	return strconv.Itoa(at + step), nil
}

// noNone drops the words that a program writes for no value.
func noNone(s string) string {
	if s = strings.TrimSpace(s); s == "None" || s == "null" {
		return ""
	}
	return s
}

// linkNext finds the address with rel=next among Link headers (RFC 8288).
func linkNext(h http.Header) string {
	for _, line := range h.Values("Link") {
		for rest := line; ; {
			open := strings.IndexByte(rest, '<')
			if open < 0 {
				break
			}
			end := strings.IndexByte(rest[open:], '>')
			if end < 0 {
				break
			}
			target := rest[open+1 : open+end]
			rest = rest[open+end+1:]
			params := rest
			if comma := strings.Index(rest, "<"); comma >= 0 {
				params = rest[:comma]
			}
			if isNext(params) {
				return target
			}
		}
	}
	return ""
}

func isNext(params string) bool {
	for _, p := range strings.FieldsFunc(params, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") && slices.Contains(strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)), "next") {
			return true
		}
	}
	return false
}

// sameSite takes links to where the request went only: the next one carries
// the credentials.
func sameSite(asked *url.URL, link string) (string, error) {
	if link = noNone(link); link == "" {
		return "", nil
	}
	u, err := asked.Parse(link)
	if err != nil {
		return "", fmt.Errorf("the link to the next page cannot be read: %w", err)
	}
	if u.Scheme != asked.Scheme || u.Host != asked.Host || u.User != nil {
		return "", fmt.Errorf("the link to the next page leads to another host (%s), which must not get the credentials", u.Host)
	}
	return u.String(), nil
}
