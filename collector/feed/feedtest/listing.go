package feedtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// Pages lists records by number, token or link, as most systems do.
type Pages struct {
	// At is the path, and Query the parameters beside those of paging. Body, if not
	// empty, is the JSON that has to come with a POST; without it the list is read
	// with GET.
	At    string
	Query Query
	Body  string
	// Records is the key of the list; empty where the answer is the list.
	Records string
	// Size is the parameter with the size of a page, at most Most.
	Size string
	Most int
	// Number is the parameter with the number of the page (from First) where
	// Numbered is set, of the first record where Offset is, a token otherwise.
	Number           string
	Numbered, Offset bool
	First            int
	// Total is the key of the number of all records, TotalHeader the header.
	Total, TotalHeader string
	// Token names where the next page's token stands: a key of the answer, or of
	// an object in it.
	Token []string
	// NextURL is where the next page's address stands, as Token; Link sends it
	// as a header.
	NextURL []string
	Link    bool
	// Lacks leaves an empty list out.
	Lacks bool
	// Nothing is the code for no records, 0 for an empty list.
	Nothing int
	// Extra are further keys of every answer.
	Extra map[string]any
}

// Path implements Listing.
func (p Pages) Path() string { return p.At }

// Answer implements Listing.
func (p Pages) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	q := Query{}
	maps.Copy(q, p.Query)
	q[p.Number] = ".+"
	if p.Size != "" {
		q[p.Size] = "[0-9]+"
	}
	method := http.MethodGet
	if p.Body != "" {
		method = http.MethodPost
	}
	if err := errors.Join(q.check(r, method, p.At), p.checkBody(r)); err != nil {
		return err
	}
	size, from, err := p.window(r.URL.Query(), limit)
	if err != nil {
		return err
	}
	to := min(from+size, len(all))
	part := all[min(from, to):to]
	if len(all) == 0 && p.Nothing != 0 {
		w.WriteHeader(p.Nothing)
		return nil
	}
	return p.write(w, r, part, position{to, len(all)})
}

// checkBody tells what is wrong with the body of a request.
func (p Pages) checkBody(r *http.Request) error {
	b, err := io.ReadAll(r.Body)
	if err != nil || string(b) != p.Body {
		return errors.Join(err, fmt.Errorf("the body is %q, want %q", b, p.Body))
	}
	return nil
}

// position is where a page ends in a list.
type position struct{ to, all int }

// window reads which records are asked for.
func (p Pages) window(q url.Values, limit int) (size, from int, err error) {
	size = limit
	if s := q.Get(p.Size); p.Size != "" && s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > p.Most {
			return 0, 0, fmt.Errorf("%s is %q, want 1 to %d", p.Size, s, p.Most)
		}
		size = min(size, n)
	}
	s := q.Get(p.Number)
	if s == "" {
		return size, 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < p.First {
		return 0, 0, fmt.Errorf("%s is %q, which was not given out", p.Number, s)
	}
	if p.Numbered {
		return size, (n - p.First) * size, nil
	}
	return size, n, nil
}

func (p Pages) write(w http.ResponseWriter, r *http.Request, part []any, at position) error {
	next := *r.URL
	q := next.Query()
	q.Set(p.Number, strconv.Itoa(at.to))
	next.RawQuery = q.Encode()
	next.Scheme, next.Host = "http", r.Host
	more := at.to < at.all
	if p.Link {
		w.Header().Add("Link", fmt.Sprintf("<http://%s%s>; rel=\"self\"", r.Host, r.URL.RequestURI()))
		if more {
			w.Header().Add("Link", fmt.Sprintf("<%s>; rel=\"next\"", next.String()))
		}
	}
	if p.TotalHeader != "" {
		w.Header().Set(p.TotalHeader, strconv.Itoa(at.all))
	}
	if p.Records == "" {
		return encode(w, append([]any{}, part...))
	}
	answer := maps.Clone(p.Extra)
	if answer == nil {
		answer = make(map[string]any)
	}
	if len(part) > 0 || !p.Lacks {
		answer[p.Records] = append([]any{}, part...)
	}
	if p.Total != "" {
		answer[p.Total] = at.all
	}
	if more && p.Token != nil {
		put(answer, p.Token, strconv.Itoa(at.to))
	}
	if more && p.NextURL != nil {
		put(answer, p.NextURL, next.String())
	}
	return encode(w, answer)
}

func encode(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// put sets a value within objects.
func put(o map[string]any, path []string, v any) {
	for _, key := range path[:len(path)-1] {
		inner, ok := o[key].(map[string]any)
		if !ok {
			inner = make(map[string]any)
			o[key] = inner
		}
		o = inner
	}
	o[path[len(path)-1]] = v
}

// Scroll lists ids by a token that stays the same, and answers with the
// records of up to Most ids: CrowdStrike's way.
type Scroll struct {
	At, Entities string
	Query        Query
	ID           string
	Most         int
}

// Path implements Listing.
func (s Scroll) Path() string { return s.At }

// Answer implements Listing. The place of the scroll stands in its token, with
// which the fake need not remember it.
func (s Scroll) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	if r.URL.Path == s.Entities {
		return s.entities(w, r, all)
	}
	q := maps.Clone(s.Query)
	q["offset"] = "scroll-[0-9]+"
	if err := q.check(r, http.MethodGet, s.At); err != nil {
		return err
	}
	from := 0
	if o := r.URL.Query().Get("offset"); o != "" {
		if _, err := fmt.Sscanf(o, "scroll-%d", &from); err != nil {
			return fmt.Errorf("offset %q was not given out", o)
		}
	}
	to := min(from+limit, len(all))
	ids := []any{}
	for _, d := range all[min(from, to):to] {
		ids = append(ids, d.(map[string]any)[s.ID])
	}
	// The mark comes with the last page too.
	offset := fmt.Sprintf("scroll-%d", to)
	if len(ids) == 0 {
		offset = ""
	}
	return encode(w, map[string]any{"meta": map[string]any{"pagination": map[string]any{"total": len(all), "offset": offset}}, "resources": ids, "errors": []any{}})
}

func (s Scroll) entities(w http.ResponseWriter, r *http.Request, all []any) error {
	if err := (Query{}).check(r, http.MethodPost, s.Entities); err != nil {
		return err
	}
	var asked struct{ IDs []any }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return err
	}
	if len(asked.IDs) == 0 || len(asked.IDs) > s.Most {
		return fmt.Errorf("%d ids, want 1 to %d", len(asked.IDs), s.Most)
	}
	wanted := make(map[string]bool)
	for _, id := range asked.IDs {
		wanted[fmt.Sprint(id)] = true
	}
	found := []any{}
	for _, d := range all {
		if wanted[fmt.Sprint(d.(map[string]any)[s.ID])] {
			found = append(found, d)
		}
	}
	return encode(w, map[string]any{"resources": found, "errors": []any{}})
}
