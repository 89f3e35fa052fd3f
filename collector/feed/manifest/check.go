package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// checker collects the mistakes of a manifest that was decoded.
type checker struct {
	at   positions
	errs []error
}

// errorf tells of a mistake at the value of path, or of the nearest one above
// that was written.
func (c *checker) errorf(path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	for at := path; ; at = parent(at) {
		if n, ok := c.at[at]; ok {
			c.errs = append(c.errs, &Error{Line: n.Line, Column: n.Column, Text: text})
			return
		}
	}
}

func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return ""
}

// require tells of a value that is missing.
func (c *checker) require(given bool, path string) {
	if !given {
		c.errorf(path, "is missing")
	}
}

// path checks that a text can be a path of a record.
func (c *checker) path(text, at string) {
	if _, err := record.ParsePath(text); err != nil {
		c.errorf(at, "%v", err)
	}
}

// check tells what is wrong with the manifest as a whole.
func (m *Manifest) check() error {
	c := &checker{at: m.at}
	if m.Schema != Version {
		c.errorf("schema", "want %d, the version of the language that this program reads", Version)
	}
	if !validName.MatchString(m.Name) {
		c.errorf("name", "%q: want up to 40 lower-case letters, digits and _, beginning with a letter", m.Name)
	}
	c.require(m.Title != "", "title")
	c.require(m.Kind != "", "kind")
	for name := range m.Settings {
		if !validName.MatchString(name) || name == "record" || slices.Contains(engineNames, name) {
			c.errorf("settings."+name, "a setting needs a name of lower-case letters, digits and _, other than %s", strings.Join(engineNames, ", "))
		}
	}
	if m.Absent.Share < 0 || m.Absent.Share > 1 {
		c.errorf("absent.share", "want a part between 0 and 1")
	}
	if m.Absent.After < 1 || m.Absent.After > 2 {
		c.errorf("absent.after", "want 1 or 2")
	}
	if m.Limit.PerSecond < 0 || m.Limit.PerSecond > 1000 {
		c.errorf("limit.per_second", "want more than 0 and at most 1000")
	}
	if m.Retry.Attempts < 0 || m.Retry.Attempts > 20 {
		c.errorf("retry.attempts", "want 1 to 20")
	}
	c.auth(m.Auth)
	if w := m.Webhook; w != nil {
		c.require(w.Scheme != "", "webhook.scheme")
		c.require(w.Secret != "", "webhook.secret")
		c.require(w.Header != "" || w.Scheme != "hmac_sha256", "webhook.header")
		c.require(w.User != "" || w.Scheme != "basic", "webhook.user")
	}
	c.streams(m)
	c.holes(m)
	for i, t := range m.Tests {
		c.test(m, t, fmt.Sprintf("tests[%d]", i))
	}
	slices.SortStableFunc(c.errs, byPosition)
	return errors.Join(c.errs...)
}

func byPosition(a, b error) int {
	var x, y *Error
	if !errors.As(a, &x) || !errors.As(b, &y) {
		return 0
	}
	return x.Line - y.Line
}

func (c *checker) auth(a Auth) {
	given := 0
	for _, set := range []bool{a.Header != nil, a.Basic != nil, a.OAuth2 != nil, a.JWT != nil, a.Session != nil, a.AWS != nil} {
		if set {
			given++
		}
	}
	if given > 1 {
		c.errorf("auth", "want one of header, basic, oauth2, jwt, session and aws")
	}
	c.aws(a.AWS)
	if h := a.Header; h != nil {
		c.require(h.Value != "", "auth.header.value")
	}
	if o := a.OAuth2; o != nil {
		c.require(o.TokenURL != "", "auth.oauth2.token_url")
		c.require(o.ClientID != "", "auth.oauth2.client_id")
		c.require(o.ClientSecret != "", "auth.oauth2.client_secret")
	}
	if j := a.JWT; j != nil {
		c.require(j.TokenURL != "", "auth.jwt.token_url")
		c.require(j.Key != "", "auth.jwt.key")
		c.require(j.Alg != "", "auth.jwt.alg")
		c.require(j.Grant != "", "auth.jwt.grant")
	}
	if s := a.Session; s != nil {
		c.require(s.Post != "", "auth.session.post")
		c.require(s.Token != "", "auth.session.token")
		c.path(s.Token, "auth.session.token")
		c.path(s.Expiry, "auth.session.expires")
	}
}

func (c *checker) streams(m *Manifest) {
	table := m.Driver == "table"
	if table != (m.Table != nil) {
		c.errorf("driver", "driver: table and table belong together")
	}
	if table {
		c.require(m.Table == nil || m.Table.File != "", "table.file")
	} else {
		c.require(m.Base != "", "base")
	}
	c.require(len(m.Streams) > 0, "streams")
	seen := make(map[string]bool)
	for i := range m.Streams {
		s, at := &m.Streams[i], fmt.Sprintf("streams[%d]", i)
		if !validName.MatchString(s.Name) || seen[s.Name] {
			c.errorf(at+".name", "%q: want a name of its own, of lower-case letters, digits and _", s.Name)
		}
		seen[s.Name] = true
		c.stream(s, at, table)
		c.further(m, s, at)
		for j, f := range s.FanOut {
			c.setting(m, f.Setting, fmt.Sprintf("%s.fan_out[%d]", at, j))
		}
	}
}

func (c *checker) stream(s *Stream, at string, table bool) {
	if !table && (s.Get == "") == (s.Post == "") {
		c.errorf(at, "want one of get and post")
	}
	if table && (s.Get != "" || s.Post != "") {
		c.errorf(at, "a table is read from its file: neither get nor post")
	}
	if s.Get != "" && (s.Body != nil || s.Form != nil) {
		c.errorf(at+".body", "a GET has no body: use post, or query")
	}
	c.require(s.Key.Given(), at+".key")
	c.require(len(s.Map) > 0, at+".map")
	c.path(s.Records, at+".records")
	c.path(s.Errors, at+".errors")
	c.pager(s.Pager, at+".pager")
	if k := s.Cursor; k != nil {
		c.require(k.Field != "", at+".cursor.field")
		c.require(len(k.Query) > 0, at+".cursor.query")
		c.path(k.Field, at+".cursor.field")
	}
	if b := s.Batch; b != nil {
		if (b.Get == "") == (b.Post == "") {
			c.errorf(at+".batch", "want one of get and post")
		}
		c.require(b.Param != "", at+".batch.param")
		c.path(b.Records, at+".batch.records")
		c.path(b.Errors, at+".batch.errors")
	}
	for i, f := range s.FanOut {
		at := fmt.Sprintf("%s.fan_out[%d]", at, i)
		c.require(f.Get != "", at+".get")
		c.require(f.Into != "", at+".into")
		c.path(f.Records, at+".records")
		if f.Parallel < 1 || f.Parallel > 32 {
			c.errorf(at+".parallel", "want 1 to 32")
		}
	}
	for i, id := range s.IDs {
		c.require(id.Kind != "", fmt.Sprintf("%s.identifiers[%d].kind", at, i))
		c.require(id.Value.Given(), fmt.Sprintf("%s.identifiers[%d].value", at, i))
	}
	c.lookup(s, at)
}

func (c *checker) lookup(s *Stream, at string) {
	l := s.Lookup
	if l == nil {
		return
	}
	if s.Batch != nil || s.Cursor != nil || s.Pager.kinds() > 0 {
		c.errorf(at+".lookup", "a lookup asks for what it wants: neither pager, cursor nor batch")
	}
	if l.Size < 1 || l.Size > 1000 {
		c.errorf(at+".lookup.size", "want 1 to 1000")
	}
}

func (p Pager) kinds() int {
	n := 0
	for _, set := range []bool{p.Link, p.Next != "", p.Cursor != nil, p.Page != nil, p.Offset != nil} {
		if set {
			n++
		}
	}
	return n
}

func (c *checker) pager(p Pager, at string) {
	if p.kinds() > 1 {
		c.errorf(at, "want one of link, next_url, cursor, page and offset")
	}
	c.path(p.Next, at+".next_url")
	c.path(p.Total, at+".total")
	if p.Cursor != nil {
		c.require(p.Cursor.From != "", at+".cursor.from")
		c.require(p.Cursor.Param != "", at+".cursor.param")
		c.path(p.Cursor.From, at+".cursor.from")
	}
	for kind, n := range map[string]*NumberPager{"page": p.Page, "offset": p.Offset} {
		if n == nil {
			continue
		}
		c.require(n.Param != "", at+"."+kind+".param")
		// A page of one record cannot be told from a system that ignores the number.
		if n.Size < 2 || n.Size > 100_000 {
			c.errorf(at+"."+kind+".size", "want 2 to 100000")
		}
	}
}

func (c *checker) test(m *Manifest, t Test, at string) {
	if (t.Record == nil) == (t.Exchanges == "") {
		c.errorf(at, "want one of record and exchanges")
	}
	c.require(t.Name != "", at+".name")
	if t.Stream != "" && !slices.ContainsFunc(m.Streams, func(s Stream) bool { return s.Name == t.Stream }) {
		c.errorf(at+".stream", "there is no stream %q", t.Stream)
	}
}
