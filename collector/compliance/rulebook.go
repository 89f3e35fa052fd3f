package compliance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// apiFile is the beginning of the name of a file that holds a rule of the API.
const apiFile = "api:"

// keepPast is how many earlier versions of a rule are kept.
const keepPast = 20

// Errors of rules that are written through the API.
var (
	// ErrRule says that a rule cannot hold as it is.
	ErrRule = errors.New("this rule cannot hold")
	// ErrNotOurs says that a rule stands in a file, which the API does not change.
	ErrNotOurs = errors.New("the rule stands in a file: change or remove it there, or turn it off under settings")
)

// Pack returns the rules that assets are judged by now.
func (e *Engine) Pack() *policy.Pack { return e.pack.Load() }

// Replace has all assets judged by other rules from now on. What a rule said
// that stays as it is holds until then.
func (e *Engine) Replace(pack *policy.Pack) {
	e.filing.Lock()
	defer e.filing.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	before := make(map[string]int)
	for i, r := range enabled(e.Pack()) {
		before[r.Digest] = i
	}
	rules := enabled(pack)
	e.pack.Store(pack)
	e.tally = newTally(rules)
	for id, j := range e.judged {
		e.backlog[id] = struct{}{}
		if j.results == nil {
			continue
		}
		results := make([]code, len(rules))
		for i, r := range rules {
			results[i] = codeOf(policy.Unknown)
			if at, ok := before[r.Digest]; ok && at < len(j.results) {
				results[i] = j.results[at]
			}
		}
		j.results, j.by.pack = results, pack
		e.judged[id] = j
		e.tally.add(&j, 1)
	}
	e.waken()
}

// outdated takes out judgements by rules or data that hold no longer, and has their
// assets judged again: those of new assets are not among what a change of the rules
// or of the data has judged anew. The caller holds e.filing.
func (e *Engine) outdated(found map[string]judgement) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, j := range found {
		if j.results != nil && j.by != e.basis() {
			delete(found, id)
			e.backlog[id] = struct{}{}
		}
	}
}

// siteFiles reads the rules that were written through the API.
func siteFiles(tx *store.Tx, except string) (files []*policy.File, err error) {
	err = tx.ScanSiteRules(func(r *storagepb.RuleRecord) error {
		if r.GetId() != except {
			files = append(files, policy.Read(apiFile+r.GetId(), []byte(r.GetNow().GetContent())))
		}
		return nil
	})
	return files, err
}

// LoadRules takes in the rules that were written through the API. It is to be
// called before Run. A rule that no longer holds, as after an upgrade, is left
// out and told in the log.
func (e *Engine) LoadRules(ctx context.Context) error {
	var site []*policy.File
	err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
		site, err = siteFiles(tx, "")
		return err
	})
	if err != nil {
		return fmt.Errorf("read the site's rules: %w", err)
	}
	if len(site) == 0 {
		return nil
	}
	pack, problems := policy.Build(e.Env, slices.Concat(e.Files, site)...)
	for _, p := range problems {
		e.Logger.Warn("a rule of the site is left out", "rule", p.Rule, "error", p)
	}
	e.Replace(pack)
	return nil
}

// PutRule has a rule hold from now on. content is a file of rules that has the
// rule id only; its problems are in the error, which wraps ErrRule or
// ErrNotOurs.
func (e *Engine) PutRule(ctx context.Context, by, id, content string) error {
	file := policy.Read(apiFile+id, []byte(content))
	if len(file.Rules) == 1 && file.Rules[0].ID != id || len(file.Settings) > 0 || len(file.Rules) > 1 {
		return fmt.Errorf("%w: the content must have the rule %q and no other, and no settings", ErrRule, id)
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	if r := e.Pack().Rule(id); r != nil && r.File != apiFile+id {
		return fmt.Errorf("put rule %s: %w: %s:%d", id, ErrNotOurs, r.File, r.Line)
	}
	return e.change(ctx, id, file, func(tx *store.Tx) error {
		now := &storagepb.RuleRevision{Version: int32(file.Rules[0].Version), Content: content, By: by, At: timestamppb.New(e.Now())}
		held, err := tx.SiteRule(id)
		if errors.Is(err, store.ErrNotFound) {
			held, err = &storagepb.RuleRecord{Id: id}, nil
		}
		if err != nil {
			return err
		}
		if before := held.GetNow(); before != nil {
			if before.GetContent() != content && now.GetVersion() <= before.GetVersion() {
				return fmt.Errorf("%w: version %d is held and says something else: count the version up", ErrRule, before.GetVersion())
			}
			past := append([]*storagepb.RuleRevision{before}, held.GetPast()...)
			held = &storagepb.RuleRecord{Id: id, Past: past[:min(len(past), keepPast)]}
		}
		held.Now = now
		if err := tx.PutSiteRule(held); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: now.GetAt(), Actor: by, Action: "rule.put", Target: id, Detail: fmt.Sprint("version ", now.GetVersion())})
	})
}

// DeleteRule ends a rule that PutRule made. The error wraps store.ErrNotFound
// or ErrNotOurs.
func (e *Engine) DeleteRule(ctx context.Context, by, id string) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	if r := e.Pack().Rule(id); r != nil && r.File != apiFile+id {
		return fmt.Errorf("delete rule %s: %w: %s:%d", id, ErrNotOurs, r.File, r.Line)
	}
	return e.change(ctx, id, nil, func(tx *store.Tx) error {
		if _, err := tx.SiteRule(id); err != nil {
			return fmt.Errorf("delete rule %s: %w", id, err)
		}
		if err := tx.DeleteSiteRule(id); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(e.Now()), Actor: by, Action: "rule.delete", Target: id})
	})
}

// change stores a change of one rule of the site once it is known to hold, and
// judges by it. The caller holds e.writing.
func (e *Engine) change(ctx context.Context, id string, file *policy.File, write func(*store.Tx) error) error {
	var site []*policy.File
	err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
		site, err = siteFiles(tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the site's rules: %w", err)
	}
	files := slices.Concat(e.Files, site)
	if file != nil {
		files = append(files, file)
	}
	pack, problems := policy.Build(e.Env, files...)
	var wrong []error
	for _, p := range problems {
		if p.File == apiFile+id {
			wrong = append(wrong, p)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %w", ErrRule, errors.Join(wrong...))
	}
	if file != nil && pack.Rule(id) == nil {
		return fmt.Errorf("%w: the content has no rule %q", ErrRule, id)
	}
	if err := e.Store.Update(ctx, write); err != nil {
		return err
	}
	e.Replace(pack)
	return nil
}

// SiteRules returns the rules that were written through the API, by id.
func (e *Engine) SiteRules(ctx context.Context) (map[string]*storagepb.RuleRevision, error) {
	out := make(map[string]*storagepb.RuleRevision)
	err := e.Store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanSiteRules(func(r *storagepb.RuleRecord) error {
			out[r.GetId()] = r.GetNow()
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the site's rules: %w", err)
	}
	return out, nil
}
