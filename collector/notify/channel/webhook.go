package channel

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Webhook hands messages to programs, signed.
type Webhook struct {
	*poster
	keys []signer
}

// Key is a secret that signs, until a time or, where that is zero, for good.
type Key struct {
	Secret string
	Until  time.Time
}

type signer struct {
	key   []byte
	until time.Time
}

// NewWebhook returns a webhook. All keys sign, in their order.
func NewWebhook(address string, keys []Key, reach Reach, now func() time.Time) (*Webhook, error) {
	p, err := newPoster(address, reach, now)
	if err != nil {
		return nil, err
	}
	w := &Webhook{poster: p}
	for _, k := range keys {
		key, err := parseSecret(k.Secret)
		if err != nil {
			return nil, err
		}
		w.keys = append(w.keys, signer{key, k.Until})
	}
	return w, nil
}

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(payloadOf(m))
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	at := w.now()
	var keys [][]byte
	for _, k := range w.keys {
		if k.until.IsZero() || k.until.After(at) {
			keys = append(keys, k.key)
		}
	}
	_, err = w.post(ctx, body, map[string]string{
		"webhook-id": m.ID, "webhook-timestamp": strconv.FormatInt(at.Unix(), 10), "webhook-signature": signature(keys, m.ID, at, body),
	})
	return err
}

// payload is the body of a webhook, in the form that Standard Webhooks proposes.
type payload struct {
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      payloadData `json:"data"`
}

type payloadData struct {
	Subscription string         `json:"subscription"`
	Title        string         `json:"title"`
	Total        int            `json:"total"`
	Lost         bool           `json:"lost,omitempty"`
	Link         string         `json:"link,omitempty"`
	Groups       []payloadGroup `json:"groups,omitempty"`
	Events       []payloadEvent `json:"events,omitempty"`
}

type payloadGroup struct {
	Type     string `json:"type"`
	Rule     string `json:"rule,omitempty"`
	Title    string `json:"title,omitempty"`
	Severity string `json:"severity,omitempty"`
	Count    int    `json:"count"`
}

type payloadEvent struct {
	Type     string       `json:"type"`
	At       time.Time    `json:"at"`
	Asset    payloadAsset `json:"asset"`
	Rule     string       `json:"rule,omitempty"`
	Title    string       `json:"title,omitempty"`
	Severity string       `json:"severity,omitempty"`
	Detail   []string     `json:"detail,omitempty"`
	Fields   []string     `json:"fields,omitempty"`
	Source   string       `json:"source,omitempty"`
	SourceID string       `json:"source_id,omitempty"`
	Other    string       `json:"other_asset_id,omitempty"`
}

type payloadAsset struct {
	ID         string            `json:"id"`
	Name       string            `json:"name,omitempty"`
	Department string            `json:"department,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

func payloadOf(m *Message) payload {
	out := payload{Type: "rollcall.events", Timestamp: m.At.UTC(),
		Data: payloadData{Subscription: m.Subscription, Title: m.Title, Total: m.Total, Lost: m.Lost, Link: m.Link}}
	if m.Test {
		out.Type = "rollcall.test"
	}
	for _, g := range m.Groups {
		out.Data.Groups = append(out.Data.Groups, payloadGroup{Type: g.Kind, Rule: g.Rule, Title: g.Title, Severity: g.Severity, Count: g.Count})
	}
	for _, e := range m.Events {
		out.Data.Events = append(out.Data.Events, payloadEvent{Type: e.Kind, At: e.At.UTC(), Rule: e.Rule, Title: e.Title, Severity: e.Severity, Detail: e.Detail,
			Fields: e.Fields, Source: e.Source, SourceID: e.SourceID, Other: e.Other,
			Asset: payloadAsset{ID: e.AssetID, Name: e.AssetName, Department: e.Department, Labels: e.Labels}})
	}
	return out
}
