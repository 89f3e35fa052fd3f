package exposure

import (
	"context"
	"log/slog"
	"time"
)

// surveyEvery is how often the fleet is surveyed for whoever counts.
const surveyEvery = time.Minute

// Run surveys the fleet over and over, so that Last costs nothing, until ctx ends.
func (e *Exposure) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(surveyEvery)
	defer tick.Stop()
	for {
		if len(e.set().Scopes()) > 0 || e.Last() != nil {
			if _, err := e.Survey(ctx, e.view.Part(nil)); err != nil && ctx.Err() == nil {
				log.Warn("see which assets advisories are said of", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Last returns the last survey of all of the fleet, nil before the first.
func (e *Exposure) Last() *Survey { return e.latest.Load() }
