package diagnose

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The level changes while the logger and its children are used, and goes back by
// itself; lines are remembered within bounds.
func TestLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, kept := Keep(slog.New(slog.NewTextHandler(&out, nil)), slog.LevelInfo)
		defer kept.Close()
		child := log.With("feed", "jamf")
		child.Debug("first")
		kept.SetLevel(slog.LevelDebug, time.Minute)
		child.Debug("second", "hostname", "ann-mbp")
		time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble, where time is made up
		kept.SetLevel(slog.LevelDebug, time.Minute)
		time.Sleep(45 * time.Second) //nolint:forbidigo // as above
		child.Debug("third")
		time.Sleep(30 * time.Second) //nolint:forbidigo // as above
		child.Debug("fourth")
		child.Info("fifth")
		var last strings.Builder
		if _, err := kept.WriteTo(&last); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{out.String(), last.String()} {
			for line, want := range map[string]bool{"first": false, "second": true, "third": true, "fourth": false, "fifth": true} {
				if strings.Contains(text, "msg="+line+" feed=jamf") != want {
					t.Errorf("line %s is there, or is not:\n%s", line, text)
				}
			}
		}
		if strings.Contains(last.String(), "ann-mbp") || !strings.Contains(out.String(), "ann-mbp") {
			t.Errorf("remembered is %s", last.String())
		}
	})
}

func TestLogBounds(t *testing.T) {
	log, kept := Keep(slog.New(slog.DiscardHandler), slog.LevelInfo)
	for range maxLines + 10 {
		log.Info("a line")
	}
	if len(kept.lines) != maxLines {
		t.Errorf("%d lines are kept", len(kept.lines))
	}
	for range 200 {
		log.Info("a line", "text", strings.Repeat("x", 100_000))
	}
	var out bytes.Buffer
	if _, err := kept.WriteTo(&out); err != nil || out.Len() > maxLogBytes || out.Len() < maxLogBytes/2 {
		t.Errorf("%d bytes are kept: %v", out.Len(), err)
	}
}

// A part that fails says so in its place and in the list, and the others are
// there; secrets of all are masked, also those in errors.
func TestWriteBundle(t *testing.T) {
	var out bytes.Buffer
	written, err := WriteBundle(&out, NewMasker([]byte("key")), time.Unix(1, 0), []Part{
		{Name: "good.txt", About: "what is good", Write: func(w io.Writer) error { _, err := io.WriteString(w, "password: hunter22"); return err }},
		{Name: "bad.txt", About: "what is bad", Write: func(w io.Writer) error {
			_, err := io.WriteString(w, "half")
			return errors.Join(err, errors.New("token=hunter22"))
		}},
		{Name: "long.pb.gz", Binary: true, Write: func(w io.Writer) error { _, err := w.Write(make([]byte, maxPart+1)); return err }},
		{Name: "p.pb.gz", Binary: true, Write: func(w io.Writer) error { _, err := w.Write([]byte{0xff, 0}); return err }},
	})
	if err != nil || len(written) != 4 || written[0].Err != nil || written[1].Err == nil || written[2].Err == nil {
		t.Fatalf("%v %v", written, err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Name] = string(b)
		if strings.Contains(string(b), "hunter22") {
			t.Errorf("%s tells a secret", f.Name)
		}
	}
	if texts["good.txt"] != "password: (secret)" || texts["bad.txt"] != "half\nNOT WHOLE: token=(secret)\n" || texts["p.pb.gz"] != "\xff\x00" ||
		!strings.Contains(texts[manifest], "what is bad") || !strings.Contains(texts[manifest], "NOT WHOLE: token=(secret)") {
		t.Errorf("%q", texts)
	}
}

// One profile is taken at a time, each within its bounds.
func TestProfile(t *testing.T) {
	p := new(Profiler)
	begun, goOn, done := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- p.Take(t.Context(), writerFunc(func(b []byte) (int, error) {
			select {
			case begun <- struct{}{}:
			default:
			}
			<-goOn
			return len(b), nil
		}), "goroutine", 0)
	}()
	<-begun
	if err := p.Take(t.Context(), io.Discard, "heap", 0); !errors.Is(err, ErrBusy) {
		t.Errorf("a second profile: %v", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the first profile: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Take(ctx, io.Discard, "cpu", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted profile: %v", err)
	}
	for _, kind := range []string{"heap", "allocs", "goroutine", "threadcreate"} {
		var out bytes.Buffer
		if err := p.Take(t.Context(), &out, kind, 0); err != nil || out.Len() == 0 {
			t.Errorf("%s: %d bytes, %v", kind, out.Len(), err)
		}
	}
	for kind, last := range map[string]time.Duration{"cpu": MaxProfile + 1, "trace": MaxTrace + 1, "mutex": 0, "": 0} {
		if err := p.Take(t.Context(), io.Discard, kind, last); err == nil {
			t.Errorf("a profile %q of %s was taken", kind, last)
		}
	}
}

type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
