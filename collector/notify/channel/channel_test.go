package channel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hostile is a name that would ping everybody, format, link or break a line.
const hostile = "<!channel> *b* `c` [x](http://evil) <at>all</at> @here\r\nBcc: x@evil\u202e&amp;"

func message() *Message {
	return &Message{ID: "msg_1", Subscription: "ops", At: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC), Since: time.Date(2026, 11, 25, 7, 0, 0, 0, time.UTC),
		Title: "1 finding opened on " + hostile, Total: 313, Link: "https://rollcall.example.com",
		Groups: []Group{{Kind: "finding.opened", Rule: "encrypted", Title: "Disk <encryption> is on", Severity: "high", Count: 313, More: 312,
			Names: []Name{{ID: "a1", Name: hostile, Detail: hostile}}, Link: "https://rollcall.example.com/v1/findings?rule=encrypted"}}}
}

// The example that the specification of Standard Webhooks gives.
func TestSignatureIsThatOfTheSpecification(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := signature([][]byte{key, key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want+" "+want {
		t.Errorf("signature %s", got)
	}
	s, err := NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	if k, err := parseSecret(s); err != nil || len(k) != 32 {
		t.Errorf("a new secret has %d bytes, %v", len(k), err)
	}
}

// What a device calls itself neither pings nor formats anything in Slack.
func TestSlackTakesNamesAsText(t *testing.T) {
	b := slackMessage(message())
	if len(b.Blocks) > 50 || b.Parse != "none" || b.LinkNames {
		t.Errorf("message %+v", b)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.Text, "&lt;!channel&gt;") || strings.Contains(string(raw), "\\u202e") {
		t.Errorf("message %s", raw)
	}
	for _, block := range b.Blocks {
		for _, text := range append(block.Elements, one(block.Text)...) {
			if strings.Contains(text.Text, "<!") || text.Type != "plain_text" && !strings.HasPrefix(text.Text, "<https://rollcall.example.com|") {
				t.Errorf("text %+v", text)
			}
		}
	}
	long := message()
	for i := range 60 {
		g := long.Groups[0]
		g.Rule, g.Names = fmt.Sprintf("r%d", i), nil
		for range 10 {
			g.Names = append(g.Names, Name{ID: "x", Name: strings.Repeat("&", 500), Detail: strings.Repeat("<", 500)})
		}
		long.Groups = append(long.Groups, g)
	}
	b = slackMessage(long)
	if len(b.Blocks) > 50 {
		t.Errorf("%d blocks", len(b.Blocks))
	}
	for _, block := range b.Blocks {
		if block.Text != nil && len([]rune(block.Text.Text)) > 3000 {
			t.Errorf("a section of %d characters", len([]rune(block.Text.Text)))
		}
	}
}

func one(t *slackText) []slackText {
	if t == nil {
		return nil
	}
	return []slackText{*t}
}

// Teams is sent an adaptive card below its bound, whose texts are literal.
func TestTeamsTakesNamesAsText(t *testing.T) {
	m := message()
	for i := range 100 {
		g := m.Groups[0]
		g.Rule = fmt.Sprintf("r%d", i)
		m.Groups = append(m.Groups, g)
	}
	raw, err := teamsMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 28<<10 || !strings.Contains(string(raw), "more kinds") {
		t.Errorf("%d bytes", len(raw))
	}
	var b struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type string
				Body []struct{ Type string }
			}
		}
	}
	if err := json.Unmarshal(raw, &b); err != nil || b.Type != "message" || b.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		t.Fatalf("%v %s", err, raw)
	}
	for _, x := range b.Attachments[0].Content.Body {
		if x.Type != "RichTextBlock" { // others read Markdown
			t.Errorf("a block of type %s", x.Type)
		}
	}
}

// What a receiver answers decides what comes next, and is told without the
// address, which is a secret with chat systems.
func TestAnswers(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		code    int
		headers map[string]string
		body    string
		want    Failure
		text    string
	}{
		"throttled":        {429, map[string]string{"Retry-After": "30"}, "", Failure{After: 30 * time.Second}, "429"},
		"until a date":     {503, map[string]string{"Retry-After": "Wed, 25 Nov 2026 08:02:00 GMT"}, "", Failure{After: 2 * time.Minute}, "503"},
		"for ever":         {503, map[string]string{"Retry-After": "99999999999"}, "", Failure{After: maxAfter}, "503"},
		"in the past":      {503, map[string]string{"Retry-After": "-5"}, "", Failure{}, "503"},
		"wrong":            {400, nil, "invalid_payload\x1b[31m", Failure{Refused: true}, "400: invalid_payload[31m"},
		"gone":             {410, nil, "channel_is_archived", Failure{Gone: true}, "410"},
		"redirect":         {302, map[string]string{"Location": "https://evil.example"}, "", Failure{}, "not followed"},
		"a very long text": {500, nil, strings.Repeat("x", 1<<20), Failure{}, "500: xxx"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range c.headers {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		}))
		p, err := NewSlack(s.URL+"/services/topsecret", Reach{AllowPrivate: true}, now)
		if err != nil {
			t.Fatal(err)
		}
		err = p.Send(t.Context(), message())
		f := FailureOf(err)
		if f.After != c.want.After || f.Refused != c.want.Refused || f.Gone != c.want.Gone || !strings.Contains(f.Error(), c.text) || strings.Contains(f.Error(), "topsecret") || len(f.Error()) > 400 {
			t.Errorf("%s: %+v", name, f)
		}
		p.Close()
		s.Close()
		if err := p.Send(t.Context(), message()); err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: without a server: %v", name, err)
		}
		p.Close()
	}
	teams := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429")
	}))
	defer teams.Close()
	p, err := NewTeams(teams.URL, Reach{AllowPrivate: true}, now)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "Teams did not take") {
		t.Errorf("a failure behind a 200: %v", err)
	}
}
