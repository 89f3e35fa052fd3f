package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

func TestNewerSignedVersionTakesOver(t *testing.T) {
	f := folder(t)
	s := &shelf{manifest: signed(t, manifestOf(5, time.Now(), "1.0.0", "1.1.0"), "a"), program: content("1.1.0")}
	if err := updater(t, f, "1.0.0", s).Exchanged(t.Context(), "1.1.0"); !errors.Is(err, ErrSwitch) {
		t.Fatalf("%v, %+v", err, recorded(t, f))
	}
	r := recorded(t, f)
	if r.Active == nil || r.Active.Version != "1.1.0" || r.Active.Confirmed || r.Previous != nil || r.Sequence != 5 || r.Problem != "" {
		t.Errorf("record: %+v", r)
	}
	if path, err := f.verify(*r.Active, keys(t, "a"), platform); err != nil || path != pathOf(f, "1.1.0") {
		t.Errorf("%s, %v", path, err)
	}
	if got := files(t, f); got != "1.1.0 state.json" {
		t.Errorf("the folder has %s", got)
	}

	// The new version confirms itself at its first exchange, then takes the next
	// one; the one before it stays, and the one before that goes.
	if err := updater(t, f, "1.1.0", s).Exchanged(t.Context(), ""); err != nil || !recorded(t, f).Active.Confirmed {
		t.Fatalf("%v, %+v", err, recorded(t, f))
	}
	staged2(t, f, 6, "1.1.0", "1.2.0")
	if err := updater(t, f, "1.2.0", s).Exchanged(t.Context(), "1.2.0"); err != nil {
		t.Fatal(err)
	}
	staged2(t, f, 6, "1.2.0", "1.3.0")
	r = recorded(t, f)
	if got := files(t, f); got != "1.2.0 1.3.0 state.json" || r.Active.Version != "1.3.0" || r.Previous.Version != "1.2.0" {
		t.Errorf("the folder has %s, record %+v", got, r)
	}
}

// staged2 is staged with a manifest of a number.
func staged2(t *testing.T, f Folder, sequence int64, running, version string) {
	t.Helper()
	s := &shelf{manifest: signed(t, manifestOf(sequence, time.Now(), version), "a"), program: content(version)}
	if err := updater(t, f, running, s).Exchanged(t.Context(), version); !errors.Is(err, ErrSwitch) {
		t.Fatalf("version %s is not taken: %v, %+v", version, err, recorded(t, f))
	}
}

// Whatever is wrong with an offer, the agent goes on, says why, and does not
// ask again at once.
func TestOffersThatAreNotTaken(t *testing.T) {
	now := time.Now()
	good := func() release.Manifest { return manifestOf(5, now, "1.1.0") }
	changed := func(change func(*release.Manifest)) []byte {
		m := good()
		change(&m)
		return signed(t, m, "a")
	}
	for name, tc := range map[string]struct {
		offered  string
		manifest []byte
		program  string
		failure  error
		want     string
	}{
		"unknown key":        {manifest: signed(t, good(), "b"), want: release.ErrUnknownKey.Error()},
		"unsigned":           {manifest: []byte(`{"payload":"e30=","signatures":[]}`), want: release.ErrUnsigned.Error()},
		"changed":            {manifest: []byte(strings.Replace(string(signed(t, good(), "a")), `"payload": "e`, `"payload": "f`, 1)), want: release.ErrBadSignature.Error()},
		"no manifest at all": {manifest: []byte("hello"), want: release.ErrMalformed.Error()},
		"downgrade":          {offered: "0.9.0", manifest: signed(t, manifestOf(5, now, "0.9.0"), "a"), want: ErrDowngrade.Error()},
		"no version":         {offered: "../../etc", manifest: signed(t, good(), "a"), want: "MAJOR.MINOR.PATCH"},
		"old manifest":       {manifest: signed(t, manifestOf(3, now, "1.1.0"), "a"), want: ErrOld.Error()},
		"expired":            {manifest: changed(func(m *release.Manifest) { m.ExpiresAt = now.Add(-time.Minute) }), want: "expired"},
		"another system":     {manifest: changed(func(m *release.Manifest) { m.Releases[0].Files[0].OS = "windows" }), want: release.ErrNoFile.Error()},
		"another processor":  {manifest: changed(func(m *release.Manifest) { m.Releases[0].Files[0].Arch = "arm64" }), want: release.ErrNoFile.Error()},
		"not that version":   {manifest: signed(t, manifestOf(5, now, "1.1.1"), "a"), want: release.ErrNoFile.Error()},
		"agent too old":      {manifest: changed(func(m *release.Manifest) { m.Releases[0].MinimumAgent = "1.0.5" }), want: ErrTooOld.Error()},
		"other bytes":        {program: "program of 1.1.1", want: errChanged.Error()},
		"too few bytes":      {program: "program of 1.1", want: errChanged.Error()},
		"too many bytes":     {program: "program of 1.1.0 and more", want: errChanged.Error()},
		"connection cut":     {failure: errors.New("connection reset"), want: "connection reset"},
		"says another number": {manifest: changed(func(m *release.Manifest) {
			m.Releases[0] = manifestOf(5, now, "1.1.7").Releases[0]
			m.Releases[0].Version = "1.1.0"
		}), program: "program of 1.1.7", want: ErrBroken.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.offered == "" {
				tc.offered = "1.1.0"
			}
			if tc.manifest == nil {
				tc.manifest = signed(t, good(), "a")
			}
			if tc.program == "" {
				tc.program = content("1.1.0")
			}
			f := folder(t)
			if err := f.change(func(r *record) { r.Sequence = 4 }); err != nil {
				t.Fatal(err)
			}
			s := &shelf{manifest: tc.manifest, program: tc.program, err: tc.failure}
			u := updater(t, f, "1.0.0", s)
			for range 3 {
				if err := u.Exchanged(t.Context(), tc.offered); err != nil {
					t.Fatalf("the agent is stopped: %v", err)
				}
			}
			r := recorded(t, f)
			if r.Active != nil || !strings.Contains(r.Problem, tc.want) || r.ProblemAt.IsZero() {
				t.Errorf("record: %+v", r)
			}
			if s.fetched > 1 {
				t.Errorf("it was asked for %d times", s.fetched)
			}
			if got := files(t, f); got != "state.json" {
				t.Errorf("the folder has %s", got)
			}
			sum, err := Summarise(f)
			if err != nil || !strings.Contains(sum.Trouble(), tc.want) {
				t.Errorf("%+v, %v", sum, err)
			}
			// The problem ends with the offer.
			if err := u.Exchanged(t.Context(), ""); err != nil || recorded(t, f).Problem != "" {
				t.Errorf("%v, %+v", err, recorded(t, f))
			}
		})
	}
}

func TestFailedOffersAreTriedAgainEverLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := folder(t), &shelf{err: errors.New("busy")}
		u := updater(t, f, "1.0.0", s)
		begin := time.Now()
		var at []time.Duration
		for s.fetched < 9 {
			before := s.fetched
			if err := u.Exchanged(t.Context(), "1.1.0"); err != nil {
				t.Fatal(err)
			}
			if s.fetched > before {
				at = append(at, time.Since(begin))
			}
			pass(5 * time.Minute)
		}
		for i, want := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour} {
			if got := at[i+1] - at[i]; got != want {
				t.Errorf("try %d comes after %s, want %s", i+1, got, want)
			}
		}
		s.err, s.manifest, s.program = nil, signed(t, manifestOf(5, time.Now(), "1.1.0"), "a"), content("1.1.0")
		pass(25 * time.Hour)
		if err := u.Exchanged(t.Context(), "1.1.0"); !errors.Is(err, ErrSwitch) {
			t.Errorf("once it can be had: %v", err)
		}
	})
}

// A broken program is tried three times in three days, and then no more.
func TestProgramThatDoesNotRunIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := folder(t)
		s := &shelf{manifest: signed(t, manifestOf(5, time.Now(), "1.1.0"), "a"), program: content("1.1.0")}
		u := updater(t, f, "1.0.0", s)
		u.Try = func(context.Context, string) (string, error) { return "", errors.New("exec format error") }
		for range 24 * 12 * 10 {
			if err := u.Exchanged(t.Context(), "1.1.0"); err != nil {
				t.Fatal(err)
			}
			pass(5 * time.Minute)
		}
		r := recorded(t, f)
		if s.fetched != 3 || len(r.Refused) != 1 || !strings.Contains(r.Refused[0].Reason, "exec format error") || !r.Refused[0].Until.IsZero() {
			t.Errorf("fetched %d times, record %+v", s.fetched, r)
		}
		// A later version is another matter, and ends the story of the refused one.
		s.manifest, s.program, u.Try = signed(t, manifestOf(6, time.Now(), "1.2.0"), "a"), content("1.2.0"), tell
		if err := u.Exchanged(t.Context(), "1.2.0"); !errors.Is(err, ErrSwitch) {
			t.Errorf("a later version: %v, %+v", err, recorded(t, f))
		}
		if err := updater(t, f, "1.2.0", s).Exchanged(t.Context(), "1.2.0"); err != nil || len(recorded(t, f).Refused) > 0 {
			t.Errorf("%v, %+v", err, recorded(t, f))
		}
	})
}

// A record that is damaged is begun anew; the agent goes on.
func TestDamagedRecord(t *testing.T) {
	f := folder(t)
	if err := os.WriteFile(filepath.Join(f.dir, recordFile), []byte(`{"active":`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shelf{manifest: signed(t, manifestOf(5, time.Now(), "1.1.0"), "a"), program: content("1.1.0")}
	u := updater(t, f, "1.0.0", s)
	if err := u.Exchanged(t.Context(), "1.1.0"); err != nil {
		t.Fatal(err)
	}
	u.tryAt = time.Time{}
	if err := u.Exchanged(t.Context(), "1.1.0"); !errors.Is(err, ErrSwitch) {
		t.Errorf("%v, %+v", err, recorded(t, f))
	}
}

func TestVersionWithoutANumberCannotUpdate(t *testing.T) {
	if _, err := New(Options{Version: "devel-0123456789ab"}); err == nil || !strings.Contains(err.Error(), "release") {
		t.Errorf("%v", err)
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	var r record
	for i := range 3 * maxRefusals {
		r.refuse(release.Version{}.String()+"-"+strings.Repeat("a", i+1), "reason", time.Now(), true)
	}
	if len(r.Refused) != maxRefusals || !strings.HasSuffix(r.Refused[maxRefusals-1].Version, strings.Repeat("a", 3*maxRefusals)) {
		t.Errorf("%d refusals", len(r.Refused))
	}
}
