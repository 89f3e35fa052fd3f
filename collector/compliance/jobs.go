package compliance

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"sync"

	"github.com/rollcall-itam/rollcall/collector/store"
)

// job is an asset to judge.
type job struct {
	id string
	// issues are those of its identity as far as they are known of an asset that did
	// not change, nil where they are to be looked for.
	issues []string
}

// take returns some assets that are to be judged now.
func (e *Engine) take() []job {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Now()
	for _, id := range e.due.until(now) {
		if at := e.judged[id].due; at.After(now) {
			e.due.add(id, at)
		} else if !at.IsZero() {
			e.dirty[id] = struct{}{}
		}
	}
	jobs := make([]job, 0, min(len(e.dirty)+len(e.backlog), batch))
	for id := range e.dirty {
		if len(jobs) == batch {
			break
		}
		jobs = append(jobs, job{id: id})
		delete(e.dirty, id)
		delete(e.backlog, id)
	}
	for id := range e.backlog {
		if len(jobs) == batch {
			break
		}
		jobs = append(jobs, job{id, e.judged[id].issues})
		delete(e.backlog, id)
	}
	return jobs
}

// again puts back assets whose judgement could not be stored.
func (e *Engine) again(jobs []job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, j := range jobs {
		e.dirty[j.id] = struct{}{}
	}
}

// judgeAll judges some assets, on all processors where they are many, and stores
// what became of their findings.
func (e *Engine) judgeAll(ctx context.Context, jobs []job) error {
	e.freshNames()
	workers := min(runtime.GOMAXPROCS(0), 1+len(jobs)/perWorker)
	some, errs := make([]map[string]judgement, workers), make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() { some[w], errs[w] = e.judgeSome(ctx, jobs[w*len(jobs)/workers:(w+1)*len(jobs)/workers]) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, more := range some[1:] {
		maps.Copy(some[0], more)
	}
	return e.file(ctx, some[0])
}

// judgeSome judges some assets.
func (e *Engine) judgeSome(ctx context.Context, jobs []job) (map[string]judgement, error) {
	found := make(map[string]judgement, len(jobs))
	err := e.Store.View(ctx, func(tx *store.Tx) error {
		kinds, err := sourceKinds(tx)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if found[j.id], err = e.judge(tx, j, kinds); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return found, err
}
