package notify_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

func hook(id, url string) *adminpb.Subscription {
	return &adminpb.Subscription{Id: id, Receiver: &adminpb.Receiver{Kind: "webhook", Url: url, AllowPrivate: true}}
}

// A webhook is told of the findings that it asks for, signed, and of no others.
func TestWebhookIsToldOfFindings(t *testing.T) {
	w, r := newWorld(t, notify.Options{Link: "https://rollcall.example.com"}), newReceiver(t)
	sales, lab := w.report("lt-1", "Sales"), w.report("lt-2", "Lab")
	d := hook("siem", r.URL+"/in")
	d.Findings = &adminpb.FindingInterest{Events: []string{"opened", "resolved"}, Severities: []string{"high"}, Filter: `asset.owner.department == "Sales" && finding.rule != "quiet"`}
	secret := w.create(d)
	w.find("opened", "encrypted", "high", sales, lab)
	w.find("opened", "quiet", "high", sales)
	w.find("opened", "firewall", "low", sales)
	w.find("resolved", "old", "high", sales)
	w.tick()
	c := <-r.calls
	c.verify(t, secret)
	b := c.read(t)
	if b.Type != "rollcall.events" || b.Data.Total != 2 || len(b.Data.Events) != 2 || b.Data.Events[0].Asset.Name != "lt-1" ||
		b.Data.Events[0].Rule != "encrypted" || b.Data.Events[1].Type != "finding.resolved" {
		t.Errorf("told %s", c.body)
	}
	if !strings.Contains(c.body, `"title":"Disk encryption is on"`) || !strings.Contains(c.body, `"department":"Sales"`) || c.header.Get("Content-Type") != "application/json" {
		t.Errorf("told %s with %v", c.body, c.header)
	}
	w.find("opened", "encrypted", "high", lab)
	w.find("opened", "encrypted", "high", sales)
	w.tick()
	next := <-r.calls
	if b := next.read(t); b.Data.Total != 1 || next.header.Get("Webhook-Id") == c.header.Get("Webhook-Id") {
		t.Errorf("the second message is %s", next.body)
	}
}

// Changes of assets are told by kind, field and filter; one that ended is looked
// at as it was.
func TestChangesOfAssets(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	w.report("before", "Sales")
	d := hook("owners", r.URL)
	d.Assets = &adminpb.AssetInterest{Fields: []string{"owner"}, Filter: `asset.owner.department == "Lab"`}
	w.create(d)
	gone := hook("gone", r.URL)
	gone.Assets = &adminpb.AssetInterest{Kinds: []string{"withdrawn"}, Filter: `asset.owner.department == "Lab"`}
	w.create(gone)
	w.report("new", "Lab") // came to be, with which no field changed
	w.advance(time.Minute)
	w.report("before", "Finance")
	w.advance(time.Minute)
	w.report("before", "Lab")
	w.tick()
	c := <-r.calls
	if b := c.read(t); b.Data.Subscription != "owners" || b.Data.Total != 1 || b.Data.Events[0].Type != "asset.changed" || b.Data.Events[0].Asset.Name != "before" {
		t.Errorf("told %s", c.body)
	}
	w.advance(time.Minute)
	if err := w.c.Withdraw(t.Context(), store.Ref{Source: "mdm", ID: "id-before"}); err != nil {
		t.Fatal(err)
	}
	for {
		w.tick()
		select {
		case c := <-r.calls:
			if b := c.read(t); b.Data.Subscription != "gone" || b.Data.Total != 1 || b.Data.Events[0].Type != "asset.withdrawn" || b.Data.Events[0].Asset.Name != "before" {
				t.Errorf("told %s", c.body)
			}
			return
		case <-time.After(10 * time.Millisecond): // the clock was moved for the other one, to note how far it read
		}
	}
}

// A burst is one message to people, with the first names and how many more, and
// what comes after it waits until it is calm; to programs all of it is told.
func TestABurstIsOneMessage(t *testing.T) {
	w, people, program := newWorld(t, notify.Options{Link: "https://rollcall.example.com"}), newReceiver(t), newReceiver(t)
	var ids []string
	for i := range 700 {
		ids = append(ids, w.report(fmt.Sprintf("pc-%04d", i), ""))
	}
	s := hook("ops", people.URL)
	s.Receiver.Kind, s.Findings = "slack", &adminpb.FindingInterest{}
	w.create(s)
	m := hook("siem", program.URL)
	m.Findings = &adminpb.FindingInterest{}
	w.create(m)
	w.find("opened", "encrypted", "high", ids...)
	seen := make(map[string]bool)
	for calls := 0; len(seen) < len(ids); calls++ {
		select {
		case c := <-program.calls:
			for _, e := range c.read(t).Data.Events {
				if seen[e.Asset.ID] {
					t.Fatalf("asset %s was told twice", e.Asset.ID)
				}
				seen[e.Asset.ID] = true
			}
		case <-time.After(time.Millisecond):
			w.advance(time.Second)
		}
	}
	c := <-people.calls
	if !strings.Contains(c.body, "700 findings opened: Disk encryption is on (high)") || !strings.Contains(c.body, "and 690 more") ||
		!strings.Contains(c.body, "https://rollcall.example.com/v1/findings?rule=encrypted") || strings.Count(c.body, "pc-") != 10 {
		t.Errorf("people are told %s", c.body)
	}
	people.none(t)
}

// No more messages go out in an hour than is allowed; what comes beside them is in
// the next.
func TestCapPerHour(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	id := w.report("lt-1", "")
	d := hook("ops", r.URL)
	d.Receiver.Kind, d.Findings, d.Pace = "slack", &adminpb.FindingInterest{}, &adminpb.Pace{Window: durationpb.New(time.Minute), PerHour: 2}
	w.create(d)
	began := w.Now()
	for range 2 {
		w.find("opened", "encrypted", "high", id)
		w.tick()
		<-r.calls
	}
	first := began.Add(time.Minute)
	for range 5 {
		w.find("opened", "encrypted", "high", id)
	}
	for w.tick(); ; w.tick() {
		select {
		case c := <-r.calls:
			if w.Now().Before(first.Add(time.Hour)) || !strings.Contains(c.body, "5 findings opened") {
				t.Errorf("at %v: %s", w.Now(), c.body)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A digest goes out at its hour where the receiver is, once, and only if something
// happened.
func TestDailyDigest(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	id := w.report("lt-1", "")
	d := hook("daily", r.URL)
	d.Receiver.Kind, d.Findings, d.Pace = "teams", &adminpb.FindingInterest{Events: []string{"opened", "resolved"}}, &adminpb.Pace{Daily: "08:30", TimeZone: "Europe/Berlin"}
	w.create(d)
	w.find("opened", "encrypted", "high", id)
	w.advance(time.Hour)
	w.find("resolved", "encrypted", "high", id)
	w.restart() // what is gathered is gathered again
	w.tick()
	c := <-r.calls
	if want := time.Date(2026, 11, 26, 7, 30, 0, 0, time.UTC); !w.Now().Equal(want) {
		t.Errorf("it came at %v, want %v", w.Now(), want)
	}
	if !strings.Contains(c.body, "1 finding opened, 1 finding resolved") || !strings.Contains(c.body, "application/vnd.microsoft.card.adaptive") {
		t.Errorf("told %s", c.body)
	}
	w.advance(72 * time.Hour)
	r.none(t)
}

// A receiver that does not answer holds up neither the others nor those who
// write.
func TestASlowReceiverHoldsUpNobody(t *testing.T) {
	w, slow, quick := newWorld(t, notify.Options{}), newReceiver(t), newReceiver(t)
	release := make(chan struct{})
	slow.answer = func(http.ResponseWriter) { <-release }
	defer close(release)
	for id, r := range map[string]*receiver{"slow": slow, "quick": quick} {
		d := hook(id, r.URL)
		d.Assets = &adminpb.AssetInterest{Kinds: []string{"created"}}
		w.create(d)
	}
	w.report("pc-0", "")
	for i := 1; i <= 20; i++ {
		w.report(fmt.Sprintf("pc-%d", i), "")
		for told := false; !told; {
			select {
			case c := <-quick.calls:
				told = strings.Contains(c.body, fmt.Sprintf(`"pc-%d"`, i))
			case <-time.After(time.Millisecond):
				w.advance(time.Second)
			}
		}
	}
	if n := len(slow.calls); n != 1 {
		t.Errorf("the slow one got %d calls", n)
	}
	if s := w.status("slow"); s.GetWaiting() == 0 || s.GetWaitingSince() == nil {
		t.Errorf("the slow one's state is %v", s)
	}
}
