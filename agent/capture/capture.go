// Package capture records a machine as a folder from which it can be learnt
// again elsewhere, with people and machines made unknown where that is asked.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/scrub"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// factTimeout is how long a fact may take while all that it reads is written
// and looked through.
const factTimeout = 5 * time.Minute

// Options say how to take a capture.
type Options struct {
	// Scrub replaces serials, names, accounts and addresses by stand-ins.
	Scrub bool
	// Hide are further names and numbers to be replaced.
	Hide []string
	// Version is that of the agent, noted in the capture.
	Version string
	// Random gives the key of the stand-ins, which is not kept.
	Random io.Reader
}

// Result is what came of a capture.
type Result struct {
	// Files and Bytes are what the folder holds.
	Files int
	Bytes int64
	// LeftOut is what did not fit, with the reason.
	LeftOut []string
	// Unread are files that a scrubbed capture has as they were, since they are
	// compressed.
	Unread []string
	// Differs are the sections of which the capture tells otherwise than the
	// machine.
	Differs []string
	// Problems are what could not be learnt of the machine, which is in the
	// capture as well.
	Problems []*pb.Problem
}

// Take records into the folder dir, which must be new or empty, all that the
// facts ask of a machine.
func Take(ctx context.Context, h *host.Host, dir string, o Options) (Result, error) {
	record := host.RecordOptions{AgentVersion: o.Version}
	if o.Scrub {
		s, err := scrubber(ctx, h, o)
		if err != nil {
			return Result{}, err
		}
		record.Scrub = s.File
	}
	r, recorded, err := host.Record(h, dir, record)
	if err != nil {
		return Result{}, err
	}
	seen := facts.Observe(ctx, recorded, facts.Options{Timeout: factTimeout})
	if err := errors.Join(r.Close(), ctx.Err()); err != nil {
		return Result{}, err
	}
	out := Result{LeftOut: r.LeftOut(), Problems: seen.GetProblems()}
	if err := out.count(dir, o.Scrub); err != nil {
		return out, fmt.Errorf("look at the capture: %w", err)
	}
	replayed, err := host.Replay(dir)
	if err != nil {
		return out, err
	}
	out.Differs, err = differences(seen, facts.Observe(ctx, replayed, facts.Options{}), o.Scrub)
	return out, err
}

// scrubber learns the machine once to know what is to be hidden, so that
// nothing of it is written before.
func scrubber(ctx context.Context, h *host.Host, o Options) (*scrub.Scrubber, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(o.Random, key); err != nil {
		return nil, fmt.Errorf("make the key of the stand-ins: %w", err)
	}
	s := scrub.New(key)
	s.Identifiers = h.OS != "windows"
	hideFound(s, facts.Observe(ctx, h, facts.Options{}).GetDevice())
	hidePeople(s, h)
	hideInstallation(s, h)
	for _, word := range o.Hide {
		s.HideName(word)
		s.HideSerial(word)
		s.HideUUID(word)
	}
	return s, nil
}

// differences compares two observations by section. One that was scrubbed has
// other words than the machine, but as many of the same length.
func differences(a, b *pb.Observation, scrubbed bool) ([]string, error) {
	var out []string
	for i, st := range a.GetSections() {
		one, err1 := section.Encode(a.GetDevice(), st.GetName())
		two, err2 := section.Encode(b.GetDevice(), st.GetName())
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("compare the capture with the machine: %w", err)
		}
		same := string(one) == string(two) || scrubbed && len(one) == len(two)
		if other := b.GetSections()[i]; !same || st.GetState() != other.GetState() {
			out = append(out, st.GetName())
		}
	}
	return out, nil
}

// count looks through the folder.
func (r *Result) count(dir string, scrubbed bool) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		r.Files, r.Bytes = r.Files+1, r.Bytes+info.Size()
		head := make([]byte, 8)
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.ReadFull(f, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return err
		}
		if scrubbed && scrub.Compressed(head[:n]) {
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			r.Unread = append(r.Unread, rel)
		}
		return nil
	})
}
