package compliance

import (
	"context"
	"fmt"

	"github.com/rollcall-itam/rollcall/collector/store"
)

// restock is what changed of an asset's software since it was last looked at.
type restock struct {
	titles []store.TitleID
	// all tells that it may be anything.
	all bool
	// scope is the system that the asset was judged as.
	scope string
}

// maxRestocked is how many titles of an asset are remembered.
const maxRestocked = 2000

// noteRestocked notes that nothing of an asset changed but its software.
func (e *Engine) noteRestocked(id string, step *store.SoftwareStep) {
	e.mu.Lock()
	r := e.restocked[id]
	if r.all = r.all || step == nil || len(r.titles) > maxRestocked; r.all {
		r.titles = nil
	} else {
		r.titles = append(append(r.titles, step.Removed...), step.Added...)
	}
	e.restocked[id] = r
	e.mu.Unlock()
	e.waken()
}

// sift has those assets judged of which only the software changed, where that
// has a part in what was said of them: a rule looked at the rows, or titles
// came or went of which the rules know something. Most changes are of others,
// and need no judgement.
func (e *Engine) sift(ctx context.Context) error {
	changed := e.takeRestocked()
	if len(changed) == 0 {
		return nil
	}
	matters := make(map[string]bool, len(changed))
	err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
		for id, r := range changed {
			if matters[id], err = e.matters(tx, r); err != nil {
				return fmt.Errorf("see what changed of the software of asset %s: %w", id, err)
			}
		}
		return ctx.Err()
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range changed {
		if err != nil || matters[id] {
			e.dirty[id] = struct{}{}
		}
	}
	return err
}

// takeRestocked returns the assets of which it must be seen whether a change of
// their software matters. Others are to be judged, or need not be.
func (e *Engine) takeRestocked() map[string]restock {
	e.mu.Lock()
	defer e.mu.Unlock()
	some := make(map[string]restock, len(e.restocked))
	// No judgement is under way here, so each asset that is not dirty was judged as
	// it is: rules that did not look at its software then would not do so now.
	for id, r := range e.restocked {
		switch j := e.judged[id]; {
		case j.results == nil, j.rows, j.titles && r.all:
			e.dirty[id] = struct{}{}
		case j.titles:
			r.scope = j.scope
			some[id] = r
		}
	}
	clear(e.restocked)
	return some
}

// matters tells whether the rules know more of what came or went than its name.
func (e *Engine) matters(tx *store.Tx, r restock) (bool, error) {
	for _, id := range r.titles {
		if ends, err := e.ends.Load().of(tx, id); err != nil || ends != nil {
			return true, err
		}
		if weak, err := e.weak(tx, r.scope, id); err != nil || weak {
			return true, err
		}
	}
	return false, nil
}
