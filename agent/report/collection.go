package report

import "time"

// maxFactCosts bounds what is kept of a collection, for `status`.
const maxFactCosts = 256

// Collection is what the last reading of the machine cost.
type Collection struct {
	At    time.Time     `json:"at"`
	Took  time.Duration `json:"took_ns"`
	Facts []FactCost    `json:"facts,omitempty"`
	// HangsSince is when a reading was begun that never came back; else zero.
	HangsSince time.Time `json:"hangs_since,omitzero"`
}

// FactCost is what one fact cost.
type FactCost struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took_ns"`
	// KeptSince is when the fact was learnt, where it was not due now; else zero.
	KeptSince time.Time `json:"kept_since,omitzero"`
	// Waits is why it was not learnt although it was due; else empty.
	Waits string `json:"waits,omitempty"`
	// HangsSince is when the fact was begun that was given up on and has not
	// returned since; else zero.
	HangsSince time.Time `json:"hangs_since,omitzero"`
}

// Collected notes what a reading of the machine cost; it is written with the
// outcome of the next exchange.
func (a *Agent) Collected(c Collection) {
	c.At = c.At.UTC()
	c.Facts = append([]FactCost(nil), c.Facts[:min(len(c.Facts), maxFactCosts)]...)
	for i := range c.Facts {
		c.Facts[i].Name, c.Facts[i].Waits = clip(c.Facts[i].Name), clip(c.Facts[i].Waits)
	}
	a.collection = &c
}
