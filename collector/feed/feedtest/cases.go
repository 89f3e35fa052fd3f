package feedtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
)

// tokenEnds ends the token in the middle of a pass.
func tokenEnds(t *testing.T, v Vendor) {
	if v.SignIn == nil {
		return // there is no token that could end
	}
	b := newBench(t, v, 7, 3)
	b.Break(once(2, max(v.Expired, http.StatusUnauthorized), `{"error": {"code": "InvalidAuthenticationToken"}}`))
	b.reads(7)
	if _, tokens := b.Asked(); tokens != 2 {
		t.Errorf("%d tokens were asked for, want 2", tokens)
	}
}

// denied refuses credentials, and rights.
func denied(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.reads(7)
	b.Break(always(1, http.StatusUnauthorized, `{"error": {"message": "who are you"}}`))
	b.fails(fetch.Denied, `"who are you"; check the credentials`)
	b.Break(always(2, http.StatusForbidden, `{"error": {"message": "not yours"}}`))
	says := `"not yours"; the credentials lack a permission`
	if len(b.manifest.Permissions) > 0 {
		says += ", this feed needs: " + b.manifest.Permissions[0]
	}
	b.fails(fetch.Denied, says)
	if list, _ := b.Asked(); list > 5 {
		t.Errorf("a system that refuses was asked %d times", list)
	}
}

// busy asks for a pause.
func busy(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.Break(once(2, http.StatusTooManyRequests, "{}", "Retry-After", "37"))
	b.reads(7)
	if got := b.clock.Waited(); got < 37*time.Second {
		t.Errorf("waited %v of the 37s that were asked for", got)
	}
}

// failsOnce is out of order for one request.
func failsOnce(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.Break(once(2, http.StatusInternalServerError, "{}"))
	b.reads(7)
}

// down never works again.
func down(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.reads(7)
	b.Break(always(2, http.StatusInternalServerError, `{"message": "on fire"}`))
	b.fails(fetch.Down, "on fire")
	b.Break(nil)
	b.reads(7)
}

// brokenAnswers cuts answers, and sends pages for people.
func brokenAnswers(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.reads(7)
	truncated, odd := `{"data": [{"id`, `"maintenance"`
	if v.Truncated != "" {
		truncated, odd = v.Truncated, v.Odd
	}
	b.Break(once(2, http.StatusOK, truncated))
	b.reads(7)
	b.Break(always(1, http.StatusOK, truncated))
	b.fails(fetch.Down, "ends in the middle")
	b.Break(always(2, http.StatusOK, "<!DOCTYPE html><html><body>Please sign in</body></html>"))
	b.fails(fetch.Broken, "an HTML page")
	b.Break(always(1, http.StatusOK, odd))
	b.fails(fetch.Broken, "no records")
}

// lacking lists records without an id.
func lacking(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.Change(func(records []any) []any {
		bad := v.Device(100)
		v.Forget(bad)
		return append(records[:len(records):len(records)], bad)
	})
	if s := b.reads(7); s.Pass.ProblemCount+lost(s.Pass.Notes) == 0 {
		t.Errorf("nobody hears of it: %+v", s.Pass)
	}
}

// lost counts notes: a list of ids loses what has none before it is a record.
func lost(notes []string) int { return len(notes) }

// duplicates lists a device on two pages.
func duplicates(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.Change(func(records []any) []any { return append(records[:len(records):len(records)], records[0], records[3]) })
	b.reads(7)
}

// repeats gives one page for ever, each time as if there was another.
func repeats(t *testing.T, v Vendor) {
	b := newBench(t, v, 7, 3)
	b.reads(7)
	var first *httptest.ResponseRecorder
	b.Break(func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			first = httptest.NewRecorder()
			if err := v.List.Answer(first, r, b.records, b.limit); err != nil {
				t.Error(err)
			}
		}
		maps.Copy(w.Header(), first.Header())
		if _, err := w.Write(first.Body.Bytes()); err != nil {
			t.Error(err)
		}
		return true
	})
	b.fails(fetch.Broken, "")
	if list, _ := b.Asked(); list > 5 {
		t.Errorf("a list without end was asked for %d times", list)
	}
}

// cutOff breaks the connection at each page in turn, with a device gone since.
func cutOff(t *testing.T, v Vendor) {
	for at := 1; at <= 3; at++ {
		b := newBench(t, v, 10, 3)
		b.reads(10)
		b.Change(func(records []any) []any { return slices.Delete(slices.Clone(records), 5, 6) })
		b.Break(func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n >= at {
				panic(http.ErrAbortHandler)
			}
			return false
		})
		b.fails(fetch.Down, "")
		b.Break(nil)
		b.reads(10)
		if b.manifest.Absent.Keep {
			continue
		}
		// The device is withdrawn by the next complete pass, and nothing else is.
		b.reads(9)
	}
}

// flips gives every value another type, one at a time: nothing but that value
// may be lost.
func flips(t *testing.T, v Vendor) {
	b := newBench(t, v, 1, 1000)
	b.reads(1)
	encoded, err := json.Marshal(v.Device(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, odd := range []any{nil, "", true, 1.5, "None", []any{"x"}, map[string]any{"x": "y"}, strings.Repeat("z", 10_000)} {
		b.Change(func([]any) []any {
			var records []any
			for i := range leaves(v.Device(0)) {
				var d map[string]any
				if err := json.Unmarshal(encoded, &d); err != nil {
					t.Fatal(err)
				}
				n := i
				setLeaf(d, &n, odd)
				records = append(records, d)
			}
			return records
		})
		if _, err := b.pass(); err != nil {
			t.Errorf("a value became %.40v: %v", odd, err)
		}
		for id, o := range b.Observations() {
			if o.GetSubject() == nil {
				t.Errorf("%s: a value became %v, and nothing is said of it", id, odd)
			}
		}
	}
}

// leaves counts the single values of a record.
func leaves(v any) int {
	switch v := v.(type) {
	case map[string]any:
		n := 0
		for _, e := range v {
			n += leaves(e)
		}
		return n
	case []any:
		n := 0
		for _, e := range v {
			n += leaves(e)
		}
		return n
	}
	return 1
}

// setLeaf replaces the nth single value, in the order of keys.
func setLeaf(v any, n *int, with any) {
	visit := func(e any, set func()) {
		switch e.(type) {
		case map[string]any, []any:
			setLeaf(e, n, with)
			return
		}
		if *n == 0 {
			set()
		}
		*n--
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			visit(v[k], func() { v[k] = with })
		}
	case []any:
		for i := range v {
			visit(v[i], func() { v[i] = with })
		}
	}
}

// Serial returns a serial number for device i.
func Serial(i int) string { return fmt.Sprintf("SER%06d", i) }
