package ingest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/updates"
	"github.com/rollcall-itam/rollcall/pkg/release"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var updateKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), ed25519.SeedSize))

func updateKeys(t testing.TB) release.Keys {
	t.Helper()
	keys, err := release.ParseKeys([]string{release.FormatKey(updateKey.Public().(ed25519.PublicKey))})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// release puts a version for linux/amd64 into the folder of updates.
func (c *collector) release(version string, program []byte) {
	c.t.Helper()
	sum := sha256.Sum256(program)
	signed, err := release.Sign(release.Manifest{Format: release.Format, Sequence: 1, IssuedAt: c.clock(), ExpiresAt: c.clock().Add(24 * time.Hour), Releases: []release.Release{{
		Version: version, Ring: "broad", Files: []release.File{{OS: "linux", Arch: "amd64", Name: "agent", Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:])}}}}}, updateKey)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(c.updates, updates.ManifestName), signed, 0o600), os.WriteFile(filepath.Join(c.updates, "agent"), program, 0o600))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.wait(time.Minute) // the folder is looked at again
}

// fetch fetches an update whole.
func (d *device) fetch(version, platform string) (manifest, program []byte, err error) {
	d.t.Helper()
	stream, err := d.dial().FetchUpdate(context.Background(), &pb.FetchUpdateRequest{Version: version, Platform: platform})
	if err != nil {
		return nil, nil, err
	}
	for first := true; ; first = false {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return manifest, program, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if first != (len(m.GetManifest()) > 0) || first == (len(m.GetData()) > 0) || len(m.GetData()) > 64<<10 {
			d.t.Errorf("a message has %d bytes of manifest and %d of data", len(m.GetManifest()), len(m.GetData()))
		}
		manifest, program = append(manifest, m.GetManifest()...), append(program, m.GetData()...)
	}
}

func (d *device) offered(version, platform string) string {
	d.t.Helper()
	r, err := d.dial().CheckIn(context.Background(), &pb.CheckInRequest{AgentVersion: version, UpdatePlatform: platform})
	if err != nil {
		d.t.Fatal(err)
	}
	return r.GetUpdateVersion()
}

func TestUpdateIsOfferedAndHandedOut(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	if got := d.offered("1.0.0", "linux/amd64"); got != "" {
		t.Errorf("an empty folder offers %q", got)
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 20_001) // ends within a message
	c.release("1.1.0", want)
	for _, tc := range []struct{ version, platform, want string }{
		{"1.0.0", "linux/amd64", "1.1.0"},
		{"1.1.0", "linux/amd64", ""},
		{"1.0.0", "linux/arm64", ""},
		{"1.0.0", "", ""}, // does not update itself
	} {
		if got := d.offered(tc.version, tc.platform); got != tc.want {
			t.Errorf("%s on %q is offered %q, want %q", tc.version, tc.platform, got, tc.want)
		}
	}
	manifest, program, err := d.fetch("1.1.0", "linux/amd64")
	if err != nil || !bytes.Equal(program, want) {
		t.Fatalf("%d bytes, %v", len(program), err)
	}
	if _, err := release.Open(manifest, updateKeys(t)); err != nil {
		t.Error(err)
	}
	if n := c.metric("rollcall_agent_updates_total", "served"); n != 1 {
		t.Errorf("%v are counted", n)
	}
}

func TestUpdatesThatAreNotHandedOut(t *testing.T) {
	c := serve(t)
	c.release("1.1.0", []byte("program"))
	d := c.enrolled()
	for _, tc := range []struct{ version, platform string }{{"1.2.0", "linux/amd64"}, {"1.1.0", "windows/amd64"}, {"../agent", "linux/amd64"}, {"", ""}} {
		if _, _, err := d.fetch(tc.version, tc.platform); grpcstatus.Code(err) != codes.FailedPrecondition {
			t.Errorf("%v: %v", tc, err)
		}
	}
	_, _, err := c.device().fetch("1.1.0", "linux/amd64")
	if grpcstatus.Code(err) != codes.Unauthenticated {
		t.Errorf("without a certificate: %v", err)
	}
	if n := c.metric("rollcall_agent_updates_total", "failed"); n != 4 {
		t.Errorf("%v are counted", n)
	}
}

// Who fetches and does not read takes a place; those who come when all are
// taken are told to come later, and are served once one is free.
func TestFetchesAtOneTimeAreBounded(t *testing.T) {
	c := serve(t)
	c.release("1.1.0", make([]byte, 4<<20))
	d := c.enrolled()
	client := d.dial()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 16 {
		stream, err := client.FetchUpdate(ctx, &pb.FetchUpdateRequest{Version: "1.1.0", Platform: "linux/amd64"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := d.fetch("1.1.0", "linux/amd64")
	if grpcstatus.Code(err) != codes.ResourceExhausted {
		t.Errorf("the 17th: %v", err)
	}
	cancel()
	for {
		_, program, err := d.fetch("1.1.0", "linux/amd64")
		if err == nil && len(program) == 4<<20 {
			return
		}
		if grpcstatus.Code(err) != codes.ResourceExhausted {
			t.Fatalf("%d bytes, %v", len(program), err)
		}
	}
}

func TestVersionOfAnAgentIsNotedWhenItChanges(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	for i, version := range []string{"1.0.0", "1.1.0", "1.1.0", "", "1.2.0"} {
		d.offered(version, "")
		var got string
		err := c.store.View(context.Background(), func(tx *store.Tx) error {
			r, err := tx.Enrolment(d.id)
			got = r.GetAgentVersion()
			return err
		})
		if want := []string{"1.0.0", "1.1.0", "1.1.0", "1.1.0", "1.2.0"}[i]; err != nil || got != want {
			t.Errorf("after %q it is %q, %v", version, got, err)
		}
	}
	// What is no text is not kept, and harms nothing.
	d.offered("1.3.0\n", "")
}
