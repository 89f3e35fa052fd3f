package report

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestReadToken(t *testing.T) {
	pin := "sha256:" + strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"rce_abc\n":                             "rce_abc",
		"\n# site token\r\n rce_abc \r\n" + pin: "rce_abc",
		"":                                      "",
		"rcv_abc":                               "",
		"rce_abc\nrce_def":                      "",
		"rce_a b":                               "",
		"rce_abc\nsha256:12":                    "",
		"rce_abc\n" + strings.Repeat("\n", 1<<13): "",
	} {
		got, err := ReadToken(strings.NewReader(text))
		if (err == nil) != (want != "") || got.Secret != want {
			t.Errorf("%.20q: %v, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "abc") {
			t.Errorf("the error repeats what may be a secret: %v", err)
		}
		if strings.HasSuffix(text, pin) && got.Pin.String() != pin {
			t.Errorf("pin %s", got.Pin)
		}
	}
}

func TestSameMachine(t *testing.T) {
	type ids = map[string]string
	root := ids{IDSystemUUID: "u", IDSerial: "s", IDBoardSerial: "b", IDMachine: "m"}
	for name, tc := range map[string]struct {
		then, now ids
		same      bool
	}{
		"unchanged":                     {root, root, true},
		"no privileges now":             {root, ids{IDMachine: "m"}, true},
		"no privileges then":            {ids{IDMachine: "m"}, root, true},
		"board replaced":                {root, ids{IDSystemUUID: "u2", IDSerial: "s", IDBoardSerial: "b2", IDMachine: "m"}, true},
		"image that carries the id":     {root, ids{IDSystemUUID: "u2", IDSerial: "s2", IDMachine: "m"}, false},
		"new machine id, same hardware": {root, ids{IDSystemUUID: "u", IDMachine: "m2"}, true},
		"other container":               {ids{IDMachine: "m"}, ids{IDMachine: "m2"}, false},
		"nothing is readable":           {root, ids{}, true},
		"nothing was readable":          {ids{}, root, true},
	} {
		f, err := newFingerprint(tc.then)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.matches(tc.now); got != tc.same {
			t.Errorf("%s: same %v, want %v", name, got, tc.same)
		}
		for _, h := range f.Hashes {
			if len(h) != sha256.Size || bytes.Contains(h, []byte("u")) && len(h) < 8 {
				t.Errorf("%s: hash %q", name, h)
			}
		}
	}
	a, _ := newFingerprint(root)
	b, _ := newFingerprint(root)
	if bytes.Equal(a.sum(), b.sum()) {
		t.Error("the hash of two agents is the same: the salt does nothing")
	}
}

func TestBackoffBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewBackoff(func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "random") })
		mean := time.Second
		for i := range 20 {
			if wait := b.Next(errLost); wait < minBackoff/2 || wait > max(2*mean, minBackoff) || wait > maxBackoff {
				t.Fatalf("wait %d is %v, want at most %v", i, wait, 2*mean)
			}
			mean = min(2*mean, maxBackoff/2)
		}
		if wait := b.Next(fmt.Errorf("check in: %w", ErrRevoked)); wait < maxBackoff {
			t.Fatalf("revoked, and tries again in %v", wait)
		}
		if wait := b.Next(errors.Join(ErrExpired, ErrNoToken)); wait > 2*time.Minute {
			t.Fatalf("looks for a token in %v", wait)
		}
		b.Reset()
		if wait := b.Next(errLost); wait > 2*time.Second {
			t.Fatalf("%v after a success", wait)
		}
	})
}

// A delta applied to the rows it was made from gives the rows it was made for.
func TestDeltaLeadsFromOneToTheOther(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) *pb.Software {
		return &pb.Software{Name: rapid.StringMatching(`[a-d]{0,2}`).Draw(t, "name"), Version: rapid.StringMatching(`[0-2]?`).Draw(t, "version")}
	})
	encode := func(t *rapid.T, rows []*pb.Software) []byte {
		b, err := section.Encode(&pb.Device{Software: rows}, section.Software)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SliceOf(row).Draw(t, "from"), rapid.SliceOf(row).Draw(t, "to")
		delta, err := diffRows(encode(t, from), encode(t, to))
		if err != nil {
			t.Fatal(err)
		}
		after, err := apply(&pb.Device{Software: from}, delta)
		if err != nil {
			t.Fatal(err)
		}
		got, err := section.Digest(section.Software, after)
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := section.Digest(section.Software, encode(t, to)); !bytes.Equal(got, want) {
			t.Fatal("the delta leads elsewhere")
		}
	})
}

func TestSectionThatCannotBeSentHarmsNoOther(t *testing.T) {
	p, err := NewPacker(1)
	if err != nil {
		t.Fatal(err)
	}
	d := device(1)
	d.Network = &pb.Network{Hostname: "bad\xff"}
	d.Os = &pb.Os{Name: strings.Repeat("x", maxSectionBytes)}
	inv, err := p.Pack(&pb.Observation{Subject: &pb.Observation_Device{Device: d}})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, s := range inv.sections {
		if s.header.GetState() == section.Failed {
			failed = append(failed, s.header.GetName())
			if s.header.GetReason() == "" || s.payload != nil {
				t.Errorf("%v", s.header)
			}
		}
	}
	if diff := cmp.Diff([]string{section.OS, section.Network}, failed); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	all := make([]*pb.Problem, 3*maxProblems)
	for i := range all {
		all[i] = &pb.Problem{Fact: "f", Error: strings.Repeat("é\n", 400)}
	}
	got := bounded(all)
	if len(got) != maxProblems || !strings.Contains(got[len(got)-1].GetError(), fmt.Sprint(2*maxProblems+1)) {
		t.Errorf("%d problems, the last is %v", len(got), got[len(got)-1])
	}
	for _, p := range got {
		if len(p.GetError()) > maxReasonBytes || strings.ContainsAny(p.GetError(), "\n\x00") {
			t.Fatalf("%q", p.GetError())
		}
		if _, err := proto.Marshal(p); err != nil {
			t.Fatal(err)
		}
	}
	if len(all[0].GetError()) != 1200 {
		t.Error("the observation was changed")
	}
}

func TestParseCAFile(t *testing.T) {
	if _, err := ParseCAFile([]byte("no PEM")); err == nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Errorf("error %v, want one that says what to give", err)
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add("rce_abc\nsha256:00")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := ReadToken(strings.NewReader(text))
		if err == nil && (!strings.HasPrefix(tok.Secret, TokenPrefix) || strings.ContainsAny(tok.Secret, " \t\r\n\x00")) {
			t.Errorf("%q gives %q", text, tok.Secret)
		}
	})
}

// Folder.write leaves either the old file or the new one, and nothing beside.
func TestStateIsReplacedWhole(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := f.write(statusFile, &memory{AgentID: "a", Generation: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.write(statusFile, func() {}); err == nil {
		t.Error("what cannot be encoded was written")
	}
	var m memory
	if err := f.read(statusFile, &m); err != nil || m.Generation != 2 {
		t.Errorf("generation %d, %v", m.Generation, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the status alone", entries, err)
	}
}

// What a report costs a client: the envelope is packed once and addressed for
// each agent, which is what the load generator does.
func BenchmarkEnvelope(b *testing.B) {
	p, err := NewPacker(1)
	if err != nil {
		b.Fatal(err)
	}
	d := synth.New(1, 4000, 1500).Device(1)
	o := &pb.Observation{Subject: &pb.Observation_Device{Device: d}}
	inv, err := p.Pack(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Pack(o); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("address", func(b *testing.B) {
		e, buf := inv.Full(), []byte(nil)
		b.ReportAllocs()
		b.ReportMetric(float64(e.Size()), "payload_bytes")
		for b.Loop() {
			err := e.For(7, "1", "boot").messages(func(m *pb.ReportRequest) (err error) {
				buf, err = proto.MarshalOptions{}.MarshalAppend(buf[:0], m)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delta", func(b *testing.B) {
		d2 := proto.CloneOf(d)
		d2.Software = synth.Upgrade(d2.Software, 20, 1)
		inv2, err := p.Pack(&pb.Observation{Subject: &pb.Observation_Device{Device: d2}})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Change(inv, inv2); err != nil {
				b.Fatal(err)
			}
		}
	})
}
