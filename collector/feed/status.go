package feed

import (
	"sync"
	"time"
)

// maxProblems bounds the problems of a pass that are kept in full.
const maxProblems = 100

// Status is how a feed fares.
type Status struct {
	Name, Title, Kind string
	// Paused is set where nobody wants it to run; Running while a pass is under
	// way.
	Paused, Running bool
	// LastSuccess is when a pass last ended well; zero for never.
	LastSuccess time.Time
	// Next is when the next pass is due.
	Next time.Time
	// Failures counts the passes that failed since; Error is why the last did.
	Failures int
	Error    string
	// Withheld is why what is gone from the system is not withdrawn: a complete pass
	// found less than is plausible. It stands until a pass is plausible or its absences
	// are accepted. WithheldSince is since when; both are empty where all is well.
	Withheld      string
	WithheldSince time.Time
	// Pass is the pass under way, or the last one.
	Pass Progress
}

// Progress is how far a pass has come.
type Progress struct {
	// Full is set for a pass over everything, not only what changed.
	Full           bool
	Started, Ended time.Time
	Stream         string
	Pages, Records int
	// Total is how many records are expected, 0 where nobody knows.
	Total int
	// Stated counts observations that were filed, Skipped records that the
	// manifest leaves out, Withdrawn what was taken back.
	Stated, Skipped, Withdrawn int
	// ProblemCount counts all problems; Problems are the first of them.
	ProblemCount int
	Problems     []Problem
	// Notes say what somebody should look at: why nothing was withdrawn.
	Notes []string
}

// Problem is something of one record that could not be taken.
type Problem struct {
	// SourceID names the record, empty for one without an id.
	SourceID, Field, Text string
}

// Ends estimates when the pass will end, zero where nobody knows.
func (p Progress) Ends(now time.Time) time.Time {
	if p.Total <= 0 || p.Records <= 0 || !p.Ended.IsZero() {
		return time.Time{}
	}
	left := float64(max(p.Total-p.Records, 0)) / float64(p.Records)
	return now.Add(time.Duration(left * float64(now.Sub(p.Started))))
}

// board is a status that is written while it is read.
type board struct {
	mu     sync.Mutex
	status Status
}

func (b *board) change(fn func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.status)
}

// read returns a copy.
func (b *board) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Pass.Problems = append([]Problem(nil), s.Pass.Problems...)
	s.Pass.Notes = append([]string(nil), s.Pass.Notes...)
	return s
}

// problem notes something that could not be taken.
func (b *board) problem(p Problem) {
	b.change(func(s *Status) {
		s.Pass.ProblemCount++
		if len(s.Pass.Problems) < maxProblems {
			s.Pass.Problems = append(s.Pass.Problems, p)
		}
	})
}

func (b *board) note(text string) {
	b.change(func(s *Status) { s.Pass.Notes = append(s.Pass.Notes, text) })
}
