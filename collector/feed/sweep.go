package feed

import (
	"context"
	"fmt"
	"time"
)

// end closes a pass that was read to its end: it commits the cursors and, after
// a complete and plausible pass over everything, withdraws what is gone.
func (p *pass) end(ctx context.Context) error {
	m, now := p.memory, p.o.Now()
	for name, t := range p.at.Changed {
		if s := m.Streams[name]; t.After(s.Changed) {
			s.Changed = t
			m.Streams[name] = s
		}
	}
	if p.at.Full {
		if err := p.endFull(ctx); err != nil {
			return err
		}
	} else if err := p.keep.drop(ctx, p.at.Seen); err != nil {
		return err
	}
	m.Pass, m.LastSuccess, m.Failures, m.Error = nil, now, 0, ""
	p.board.change(func(s *Status) { s.Pass.Ended = now })
	return p.keep.save(ctx, *m)
}

// endFull closes a pass over everything.
func (p *pass) endFull(ctx context.Context) error {
	m := p.memory
	m.LastFull, m.FullDue = p.at.Started, false
	doubt := ""
	if !p.accept {
		doubt = p.doubt()
	}
	m.Unread = p.at.Unread
	if doubt != "" {
		// What was seen is no list of all there is, and not what the next pass is
		// compared with.
		p.withhold(doubt)
		m.FullDue = true
		return p.keep.drop(ctx, p.at.Seen)
	}
	p.plausible()
	if err := p.sweep(ctx); err != nil {
		return err
	}
	for name, n := range p.at.Records {
		s := m.Streams[name]
		s.Records = n
		m.Streams[name] = s
	}
	if err := p.keep.drop(ctx, m.Complete); err != nil {
		return err
	}
	m.Complete = p.at.Seen
	return nil
}

// withhold notes that what is gone is not withdrawn, and why: until a pass is
// plausible, whoever looks at the feed sees it.
func (p *pass) withhold(why string) {
	m := p.memory
	m.Withheld = why
	if m.WithheldSince.IsZero() {
		m.WithheldSince = p.o.Now()
	}
	p.board.note("nothing was withdrawn: " + why)
	p.o.Logger.Warn("feed withdraws nothing", "feed", p.source.Name, "reason", why, "since", m.WithheldSince)
}

// plausible takes back what withhold noted.
func (p *pass) plausible() {
	p.memory.Withheld, p.memory.WithheldSince = "", time.Time{}
}

// doubt says why a pass may not have seen everything, empty if it has.
func (p *pass) doubt() string {
	if n := p.at.Unread; n > p.memory.Unread {
		return fmt.Sprintf("%d records could not be told apart, %d the time before", n, p.memory.Unread)
	}
	for _, s := range p.source.Manifest.Streams {
		got, said := p.at.Records[s.Name], p.at.Totals[s.Name]
		// Devices come and go while a list is read.
		if slack := max(1, said/100); got < said-slack {
			return fmt.Sprintf("stream %s has %d records by its own count and gave %d", s.Name, said, got)
		}
		before := p.memory.Streams[s.Name].Records
		if float64(got) < float64(before)*(1-p.source.Manifest.Absent.Share) {
			return fmt.Sprintf("stream %s gave %d records, %d the time before: run the feed again with its absences accepted, if so many are gone", s.Name, got, before)
		}
	}
	return ""
}

// sweep withdraws what complete passes no longer had.
func (p *pass) sweep(ctx context.Context) error {
	absent := p.source.Manifest.Absent
	if absent.Keep {
		return nil
	}
	before, err := p.keep.read(ctx, p.memory.Complete)
	if err != nil {
		p.board.note("nothing was withdrawn: " + err.Error())
		return nil
	}
	if before == nil && absent.After > 1 && !p.accept {
		return nil
	}
	if absent.After <= 1 || p.accept {
		before = nil
	}
	keep := func(id string) bool {
		return p.seen.has(id) || before != nil && before.has(id)
	}
	share := absent.Share
	if p.accept {
		share = 1
	}
	n, err := p.o.Sink.Sweep(ctx, p.source.Name, keep, share)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.withhold(err.Error())
		return nil
	}
	p.board.change(func(s *Status) { s.Pass.Withdrawn += n })
	for h := range before {
		if _, ok := p.seen[h]; !ok {
			// Something was absent for the first time: look again soon.
			p.memory.FullDue = true
			break
		}
	}
	return nil
}
