package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// maxTeams bounds a message: webhooks of Teams take 28 KB.
	maxTeams = 27 << 10
	// teamsFailed is in an answer of 200 of an incoming webhook behind which Teams
	// refused the message, mostly since there were too many.
	teamsFailed = "HTTP error"
)

// Teams posts into a channel, through a workflow (when a Teams webhook request is
// received) or an incoming webhook; both take an adaptive card.
type Teams struct{ *poster }

// NewTeams returns a sender for the address of a workflow or an incoming webhook.
func NewTeams(address string, reach Reach, now func() time.Time) (*Teams, error) {
	p, err := newPoster(address, reach, now)
	return &Teams{p}, err
}

// Send implements Sender.
func (t *Teams) Send(ctx context.Context, m *Message) error {
	body, err := teamsMessage(m)
	if err != nil {
		return err
	}
	answer, err := t.post(ctx, body, nil)
	if err == nil && strings.Contains(answer, teamsFailed) {
		return &Failure{Err: errors.New("Teams did not take the message" + told(answer)), After: time.Minute}
	}
	return err
}

type teamsBody struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string         `json:"$schema"`
	Type    string         `json:"type"`
	Version string         `json:"version"`
	MSTeams map[string]any `json:"msteams"`
	Body    []teamsBlock   `json:"body"`
	Actions []teamsAction  `json:"actions,omitempty"`
}

// teamsBlock is a RichTextBlock: unlike a TextBlock it takes its texts as they
// are, without Markdown.
type teamsBlock struct {
	Type      string     `json:"type"`
	Separator bool       `json:"separator,omitempty"`
	Inlines   []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// teamsMessage writes a message with as many groups as Teams takes.
func teamsMessage(m *Message) ([]byte, error) {
	for shown := len(m.Groups); ; shown-- {
		body, err := json.Marshal(teamsBody{Type: "message", Attachments: []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: teamsCardOf(m, shown)}}})
		if err != nil {
			return nil, fmt.Errorf("write the message: %w", err)
		}
		if len(body) <= maxTeams || shown == 0 {
			return body, nil
		}
	}
}

func teamsCardOf(m *Message, shown int) teamsCard {
	card := teamsCard{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", MSTeams: map[string]any{"width": "Full"}}
	add := func(separator bool, text string, style teamsRun) {
		style.Type, style.Text = "TextRun", text
		card.Body = append(card.Body, teamsBlock{Type: "RichTextBlock", Separator: separator, Inlines: []teamsRun{style}})
	}
	add(false, plain(m.Title), teamsRun{Weight: "Bolder", Size: "Large"})
	for _, g := range m.Groups[:shown] {
		add(true, g.Heading(), teamsRun{Weight: "Bolder"})
		for _, l := range append(g.lines(), more(g)...) {
			add(false, l, teamsRun{})
		}
	}
	if hidden := len(m.Groups) - shown; hidden > 0 {
		add(true, fmt.Sprintf("and %d more kinds", hidden), teamsRun{})
	}
	for _, n := range m.notes() {
		add(false, n, teamsRun{})
	}
	add(true, m.foot(), teamsRun{Subtle: true, Size: "Small"})
	if m.Link != "" {
		card.Actions = []teamsAction{{Type: "Action.OpenUrl", Title: "Rollcall", URL: m.Link}}
	}
	return card
}
