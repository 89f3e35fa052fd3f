package compliance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// MaxTrend is for how many days it is kept how the fleet stood.
	MaxTrend = 400
	// trendEvery is how often the day's entry is renewed.
	trendEvery = time.Hour
)

// weights are how much the severities count in the score; info is not counted.
var weights = map[policy.Severity]int{policy.Critical: 10, policy.High: 5, policy.Medium: 3, policy.Low: 1}

// Today returns how the fleet stands now.
func (e *Engine) Today() *adminpb.ComplianceDay { return e.Part(nil).Today() }

// Trend returns how the fleet stood on each day that is kept, the earliest first.
func (e *Engine) Trend(ctx context.Context) (days []*adminpb.ComplianceDay, err error) {
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		held, err := tx.Trend()
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		days = held.GetDays()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read how the fleet stood: %w", err)
	}
	return days, nil
}

// keepDay renews the entry of today, once an hour and when the day is another.
func (e *Engine) keepDay(ctx context.Context) error {
	today := e.Today()
	if today.GetAssets() == 0 || e.kept.day == today.GetDay() && e.Now().Sub(e.kept.at) < trendEvery {
		return nil
	}
	err := e.Store.Update(ctx, func(tx *store.Tx) error {
		held, err := tx.Trend()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		days := held.GetDays()
		// A clock that was set back must not leave days to come behind.
		for len(days) > 0 && days[len(days)-1].GetDay() >= today.GetDay() {
			days = days[:len(days)-1]
		}
		days = append(days[max(0, len(days)-MaxTrend+1):], today)
		return tx.PutTrend(&storagepb.TrendRecord{Days: days})
	})
	if err != nil {
		return fmt.Errorf("store how the fleet stands: %w", err)
	}
	e.kept = keptDay{day: today.GetDay(), at: e.Now()}
	return nil
}

// keptDay is which day's entry was renewed when.
type keptDay struct {
	day string
	at  time.Time
}
