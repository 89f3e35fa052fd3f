package channel

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Bounds of a message in Slack (docs.slack.dev, Block Kit): blocks of a message,
// characters of a section and of a header. Slack counts what is sent, with its
// escapes.
const (
	maxSlackSection = 3000
	maxSlackHeader  = 150
	maxSlackGroups  = 20
)

// Slack posts into a channel through an incoming webhook.
type Slack struct{ *poster }

// NewSlack returns a sender for the address of an incoming webhook.
func NewSlack(address string, reach Reach, now func() time.Time) (*Slack, error) {
	p, err := newPoster(address, reach, now)
	return &Slack{p}, err
}

// Send implements Sender.
func (s *Slack) Send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(slackMessage(m))
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	_, err = s.post(ctx, body, nil)
	return err
}

type slackBody struct {
	// Text is what notifications show.
	Text string `json:"text"`
	// Parse none and no link_names: names of people and channels stay text.
	Parse       string       `json:"parse"`
	LinkNames   bool         `json:"link_names"`
	UnfurlLinks bool         `json:"unfurl_links"`
	UnfurlMedia bool         `json:"unfurl_media"`
	Blocks      []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Verbatim keeps Slack from making links and mentions of what looks like one.
	Verbatim *bool `json:"verbatim,omitempty"`
	Emoji    *bool `json:"emoji,omitempty"`
}

// slackEscape is what Slack asks for in every text; nothing else makes a mention.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// literal is a text in which Slack finds nothing to format.
func literal(text string, most int) *slackText {
	return &slackText{Type: "plain_text", Text: clip(slackEscape.Replace(text), most), Emoji: new(bool)}
}

// clip shortens a text to a number of characters, and breaks no escape in two.
func clip(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	text = string(runes[:most-1])
	if i := strings.LastIndexByte(text, '&'); i >= 0 && !strings.Contains(text[i:], ";") {
		text = text[:i]
	}
	return text + "…"
}

func slackMessage(m *Message) slackBody {
	title := plain(m.Title)
	out := slackBody{Text: clip(slackEscape.Replace(title), maxSlackSection), Parse: "none", Blocks: []slackBlock{{Type: "header", Text: literal(title, maxSlackHeader)}}}
	add := func(lines ...string) {
		if text := strings.Join(lines, "\n"); text != "" {
			out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: literal(text, maxSlackSection)})
		}
	}
	for i, g := range m.Groups {
		if i == maxSlackGroups {
			add(fmt.Sprintf("and %d more kinds", len(m.Groups)-i))
			break
		}
		lines := []string{g.Heading()}
		for _, l := range g.lines() {
			lines = append(lines, "• "+l)
		}
		add(append(lines, more(g)...)...)
	}
	add(m.notes()...)
	foot := literal(m.foot(), maxSlackSection)
	out.Blocks = append(out.Blocks, slackBlock{Type: "context", Elements: []slackText{*foot}})
	if m.Link != "" {
		yes := true
		link := slackText{Type: "mrkdwn", Text: "<" + slackEscape.Replace(m.Link) + "|Rollcall>", Verbatim: &yes}
		out.Blocks[len(out.Blocks)-1].Elements = append(out.Blocks[len(out.Blocks)-1].Elements, link)
	}
	return out
}

// more says where a group can be seen whole.
func more(g Group) []string {
	var out []string
	if g.Link != "" {
		out = append(out, g.Link)
	}
	if c := g.command(); c != "" {
		out = append(out, c)
	}
	return out
}
