package systest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What may befall a collector.
const (
	killed       = "kill -9"
	filled       = "full disk"
	filledKilled = "full disk and kill -9"
)

var disasters = []string{killed, filled, filledKilled}

const (
	tortureAgents = 20
	tortureOrders = 300
	minFree       = 24 << 20
	diskMiB       = 512
	// lifeRounds is how many rounds one store lives through.
	lifeRounds = 12
)

// strike lets a disaster happen and end.
func (s *service) strike(t *testing.T, dir, what string) {
	t.Helper()
	if what != killed {
		fill(t, dir)
		// For a moment: so that it notices, or not.
		<-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond)
	}
	if what != filled {
		s.signal(syscall.SIGKILL)
	}
	if what == filledKilled {
		// It tries in vain to start.
		<-time.After(2 * restartAfter)
	}
	empty(t, dir)
}

// tortured is a store that lives through disasters while agents report.
type tortured struct {
	*service
	disk, acks, orders string
	sim                *process
	tokens             []string
	// price is what the last list of orders says.
	price int
}

func newTortured(t *testing.T) *tortured {
	t.Helper()
	d := &tortured{disk: smallDisk(t, diskMiB), acks: filepath.Join(t.TempDir(), "acks"), orders: filepath.Join(t.TempDir(), "orders.csv")}
	d.order(t)
	config := filepath.Join(t.TempDir(), "collector.yaml")
	text := fmt.Sprintf("feeds:\n  - name: orders\n    vendor: csv_assets\n    settings: {file: %q}\n", d.orders)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.service = supervise(t, filepath.Join(d.disk, "data"), "--config", config, "--min-free", strconv.Itoa(minFree))
	d.answers(t)
	d.sim = start(t, "fleetsim", d.collector.sim(t, "--agents", strconv.Itoa(tortureAgents), "--titles", "200", "--concurrency", "4",
		"--mode", "change", "--reports", "1000000", "--retry", "--acks", d.acks)...)
	d.progresses(t)
	return d
}

// order writes a list of orders with a new price.
func (d *tortured) order(t *testing.T) {
	t.Helper()
	d.price++
	var b strings.Builder
	b.WriteString("Serial Number;Make;Model;PO;Purchase Date;Purchase Cost\n")
	for i := range tortureOrders {
		fmt.Fprintf(&b, "ORDER%05d;Dell;Latitude 7440;PO-1;2026-01-31;%d,00 €\n", i, 1000+d.price)
	}
	if err := os.WriteFile(d.orders+".new", []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(d.orders+".new", d.orders); err != nil {
		t.Fatal(err)
	}
}

// progresses waits until reports are taken: of each agent, in the beginning.
func (d *tortured) progresses(t *testing.T) {
	t.Helper()
	before := acknowledged(t, d.acks).total
	until(t, "reports are taken", func() error {
		select {
		case <-d.sim.exited:
			t.Fatalf("fleetsim ended: %v", d.sim.err)
		default:
		}
		if now := acknowledged(t, d.acks); now.total < before+2*tortureAgents || len(now.latest) < tortureAgents {
			return fmt.Errorf("%d and then %d", before, now.total)
		}
		return nil
	})
}

// acts are what is under way when a disaster comes, and how long it may take.
var acts = []struct {
	name   string
	within time.Duration
	begin  func(t *testing.T, d *tortured) *process
}{
	{"ingest", 500 * time.Millisecond, func(*testing.T, *tortured) *process { return nil }},
	{"feed pass", 400 * time.Millisecond, func(t *testing.T, d *tortured) *process {
		d.order(t)
		d.post(t, "/v1/feeds/orders:run", `{"full":true}`, nil)
		return nil
	}},
	{"backup", 1200 * time.Millisecond, func(t *testing.T, d *tortured) *process {
		return start(t, "rollcall-collector", "backup", "--data-dir", d.dir, "--min-free", strconv.Itoa(minFree), "--keep", "2", d.backups())
	}},
	{"compaction", 600 * time.Millisecond, func(t *testing.T, d *tortured) *process {
		return start(t, "rollcall-collector", "compact", "--data-dir", d.dir, "--min-free", strconv.Itoa(minFree))
	}},
}

func (d *tortured) backups() string { return filepath.Join(d.disk, "backups") }

func (d *tortured) post(t *testing.T, path, body string, into any) {
	t.Helper()
	answer, code := d.ask(t, http.MethodPost, path, body)
	if code != http.StatusOK {
		t.Fatalf("POST %s answers %d: %s", path, code, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatal(err)
		}
	}
}

// round lets one disaster happen and looks at what is left.
func (d *tortured) round(t *testing.T, n int) {
	act, disaster := acts[n%len(acts)], disasters[n/len(acts)%len(disasters)]
	delay := time.Duration(rand.Int64N(int64(act.within)))
	what := fmt.Sprintf("round %d: %s, %v after %s began", n, disaster, delay.Round(time.Millisecond), act.name)
	var token struct{ Token string }
	d.post(t, "/v1/tokens", fmt.Sprintf(`{"kind":"api","role":"viewer","name":"round %d"}`, n), &token)
	d.tokens = append(d.tokens, token.Token)
	command := act.begin(t, d)
	<-time.After(delay)
	d.strike(t, d.disk, disaster)
	if command != nil {
		_ = command.wait() // it may be done, or not
	}
	began := time.Now()
	d.progresses(t)
	d.answers(t)
	t.Logf("%s; reports are taken again after %v", what, time.Since(began).Round(10*time.Millisecond))
	d.holdsAll(t)
	if t.Failed() {
		t.Fatal(what)
	}
}

// holdsAll checks that all is there that was acknowledged, and the store whole.
func (d *tortured) holdsAll(t *testing.T) {
	t.Helper()
	d.holds(t, acknowledged(t, d.acks))
	for _, token := range d.tokens {
		req, err := http.NewRequest(http.MethodGet, "http://"+d.http+"/v1/assets?page_size=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Errorf("a token that was made answers %s", resp.Status)
		}
	}
	if out, errs, code := call(t, nil, "rollcall-collector", "check", "--data-dir", d.dir, "--min-free", strconv.Itoa(minFree)); code != 0 {
		t.Errorf("check: %d %s%s", code, out, errs)
	}
}

// ordered has the whole list read and checks that all of it is there.
func (d *tortured) ordered(t *testing.T) {
	t.Helper()
	d.order(t)
	d.post(t, "/v1/feeds/orders:run", `{"full":true}`, nil)
	until(t, "all orders are there", func() error {
		have := 0
		for _, a := range d.assets(t) {
			b, err := json.Marshal(a["purchase"])
			if err != nil {
				return err
			}
			if strings.Contains(string(b), fmt.Sprintf(`"%d.00"`, 1000+d.price)) {
				have++
			}
		}
		if have != tortureOrders {
			return fmt.Errorf("%d of %d", have, tortureOrders)
		}
		return nil
	})
}

// A collector is killed, and its disk is filled, while it takes reports, reads a
// feed, is backed up and compacts: it starts by itself, holds all that it
// acknowledged, and its store is whole. ROLLCALL_ROUNDS=100 does that often.
func TestDisastersWhileItWorks(t *testing.T) {
	n := rounds(t, 2)
	for done := 0; done < n; done += lifeRounds {
		t.Run(fmt.Sprintf("from round %d", done), func(t *testing.T) {
			d := newTortured(t)
			for i := done; i < min(n, done+lifeRounds); i++ {
				// Each act meets each disaster within a life; a few rounds begin anywhere.
				d.round(t, i+first)
			}
			d.ordered(t)
			d.sim.kill()
			d.end(syscall.SIGTERM)
			d.offline(t)
		})
	}
}

// first is the round to begin with: a few rounds are other ones each time.
var first = rand.IntN(len(acts) * len(disasters))

// offline checks the stopped store, and that it can be backed up and restored.
func (d *tortured) offline(t *testing.T) {
	t.Helper()
	data := []string{"--data-dir", d.dir, "--min-free", strconv.Itoa(minFree)}
	for _, command := range [][]string{{"check"}, {"backup"}} {
		args := append(command, data...)
		if command[0] == "backup" {
			args = append(args, "--try", "restore", d.backups())
		}
		if out, errs, code := call(t, nil, "rollcall-collector", args...); code != 0 {
			t.Errorf("%s of the stopped store: %d %s%s", command[0], code, out, errs)
		}
	}
	if out, errs, code := call(t, nil, "rollcall-collector", "backup", "verify", d.backups()); code != 0 {
		t.Errorf("verify: %d %s%s", code, out, errs)
	}
}
