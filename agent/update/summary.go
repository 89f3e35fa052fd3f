package update

import (
	"errors"
	"io/fs"
	"slices"
	"time"
)

// Summary is what the update folder tells.
type Summary struct {
	// Active is the version that runs instead of the installed one, empty for
	// none; Confirmed tells whether it has reached the collector.
	Active    string
	Confirmed bool
	// Previous is the version to go back to, empty for the installed one.
	Previous string
	// Refused are versions that were given up, oldest first.
	Refused []Refusal
	// Problem is why the version that is offered is not taken, empty for none.
	Problem   string
	ProblemAt time.Time
}

// Summarise reads an update folder without changing it.
func Summarise(f Folder) (Summary, error) {
	r, err := f.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Summary{}, err
	}
	s := Summary{Refused: slices.Clone(r.Refused), Problem: r.Problem, ProblemAt: r.ProblemAt}
	if r.Active != nil {
		s.Active, s.Confirmed = r.Active.Version, r.Active.Confirmed
	}
	if r.Previous != nil {
		s.Previous = r.Previous.Version
	}
	return s, nil
}

// Trouble says in a sentence what an administrator should know: the problem in
// force, or that a version was given up; empty where all is well.
func (s Summary) Trouble() string {
	if s.Problem != "" {
		return s.Problem
	}
	if len(s.Refused) > 0 {
		last := s.Refused[len(s.Refused)-1]
		return "version " + last.Version + " was given up: " + last.Reason
	}
	return ""
}
