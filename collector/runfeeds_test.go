package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (r *running) ask(t *testing.T, method, path, body string, into any) {
	t.Helper()
	code, b := r.answer(t, method, path, body)
	if code != http.StatusOK {
		t.Fatalf("%s %s answers %d: %s", method, path, code, b)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// refused asks for what must not be done, and returns what is said of it.
func (r *running) refused(t *testing.T, method, path, body string) string {
	t.Helper()
	code, b := r.answer(t, method, path, body)
	if code == http.StatusOK {
		t.Errorf("%s %s with %s is done: %s", method, path, body, b)
	}
	return string(b)
}

func (r *running) answer(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(r.dir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, "http://"+r.http.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, b
}

// linesWith hears of each pass over a feed from the log.
type linesWith chan struct{}

func (l linesWith) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "feed is read") {
		l <- struct{}{}
	}
	return len(b), nil
}

type feedsAnswer struct {
	Feeds []struct {
		ID, Error string
		Running   bool
		Pass      struct{ Stated, Withdrawn, Ended string }
	}
}

// A purchase list that is connected becomes assets, and what is taken off the
// list is withdrawn with its next pass.
func TestAConnectedFeedFillsTheRecord(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "po.csv")
	write := func(rows ...string) {
		if err := os.WriteFile(list, []byte("Serial Number;Make;Model;PO;Purchase Date;Purchase Cost\n"+strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("5XK2J93;Dell;Latitude 7440;PO-1;2026-01-31;1299,00 €", "PF3ABCDE;Lenovo;T14;PO-1;2026-01-31;1399,00 €")
	s := testSettings(filepath.Join(dir, "data"))
	s.Feeds = []feedSettings{{Name: "po-2026", Vendor: "csv_assets", Settings: map[string]string{"file": list}}}
	read := make(linesWith, 16)
	r := start(t, s, read)
	pass := func(stated, withdrawn string) {
		t.Helper()
		r.ask(t, "POST", "/v1/feeds/po-2026:run", `{"full":true}`, nil)
		<-read
		var got feedsAnswer
		r.ask(t, "GET", "/v1/feeds", "", &got)
		if p := got.Feeds[0].Pass; p.Stated != stated || p.Withdrawn != withdrawn {
			t.Fatalf("the feed fares as %+v, want %s stated and %q withdrawn", got, stated, withdrawn)
		}
	}
	assets := func() (names []string) {
		var got struct {
			Assets []struct {
				Hardware struct{ Serial string }
				Purchase struct {
					Price struct{ Amount, Currency string }
				}
			}
		}
		r.ask(t, "GET", "/v1/assets", "", &got)
		for _, a := range got.Assets {
			names = append(names, a.Hardware.Serial+" "+a.Purchase.Price.Amount+" "+a.Purchase.Price.Currency)
		}
		return names
	}
	pass("2", "")
	if got := strings.Join(assets(), ", "); !strings.Contains(got, "5XK2J93 1299.00 EUR") || !strings.Contains(got, "PF3ABCDE 1399.00 EUR") {
		t.Errorf("assets %s", got)
	}
	write("5XK2J93;Dell;Latitude 7440;PO-1;2026-01-31;1299,00 €")
	pass("1", "1")
	if got := assets(); len(got) != 1 {
		t.Errorf("assets %v after one was taken off the list", got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestFeedsThatCannotBeConnected(t *testing.T) {
	for name, tc := range map[string]struct {
		feed feedSettings
		want string
	}{
		"no vendor":       {feedSettings{Name: "a"}, "name a vendor or a manifest"},
		"unknown vendor":  {feedSettings{Name: "a", Vendor: "nobody"}, "known are"},
		"missing setting": {feedSettings{Name: "a", Vendor: "csv_assets"}, "file"},
		"bad name":        {feedSettings{Name: "A B", Vendor: "csv_assets", Settings: map[string]string{"file": "/x"}}, "lower-case"},
		"no such file":    {feedSettings{Name: "a", Manifest: "/nothing.yaml"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSettings(t.TempDir())
			s.Feeds = []feedSettings{tc.feed}
			err := serve(t.Context(), s, newLogger(io.Discard, s), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
