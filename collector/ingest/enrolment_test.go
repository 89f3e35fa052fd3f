package ingest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func (d *device) checkIn() error {
	_, err := d.dial().CheckIn(context.Background(), &pb.CheckInRequest{})
	return err
}

func TestTokensAreSpent(t *testing.T) {
	c := serve(t)
	token := c.token(2)
	one, two := c.device(), c.device()
	for _, d := range []*device{one, two} {
		if err := d.enroll(token); err != nil {
			t.Fatal(err)
		}
	}
	if one.id == two.id {
		t.Error("two keys have one identity")
	}
	wantError(t, c.device().enroll(token), "used as often as it may")
	// A reply that was lost: the same key gets the same identity again.
	id := one.id
	if err := one.enroll(token); err != nil || one.id != id {
		t.Errorf("the same key again: %s %v, want %s", one.id, err, id)
	}
	if err := one.checkIn(); err != nil {
		t.Error(err)
	}
}

func TestTokensThatDoNotWork(t *testing.T) {
	c := serve(t)
	ctx := context.Background()
	expired, err := c.tokens.Create(ctx, "test", &adminpb.CreateTokenRequest{Kind: "enroll", ExpiresIn: durationpb.New(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := c.tokens.Create(ctx, "test", &adminpb.CreateTokenRequest{Kind: "enroll"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.tokens.Revoke(ctx, "test", revoked.Id); err != nil {
		t.Fatal(err)
	}
	api, err := c.tokens.Create(ctx, "test", &adminpb.CreateTokenRequest{Kind: "api", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	c.wait(2 * time.Minute)
	last := byte('A')
	if expired.Token[len(expired.Token)-1] == last {
		last = 'B'
	}
	for name, tc := range map[string]struct{ token, want string }{
		"expired": {expired.Token, "expired"}, "revoked": {revoked.Token, "revoked"}, "for the API": {api.Token, "not known"},
		"unknown": {"rce_aaaaaaaa_" + expired.Token[13:], "not known"}, "one character off": {expired.Token[:len(expired.Token)-1] + string(last), "not known"},
		"empty": {"", "not known"}, "garbage": {"\x00\x00", "not known"},
	} {
		err := c.device().enroll(tc.token)
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: status %v", name, status.Code(err))
		}
		wantError(t, err, tc.want)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	c := serve(t)
	for range 10 {
		_ = c.device().enroll("rce_aaaaaaaa_x")
	}
	err := c.device().enroll(c.token(1))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("error %v, want ResourceExhausted", err)
	}
	c.wait(2 * time.Minute)
	if err := c.device().enroll(c.token(1)); err != nil {
		t.Errorf("after a while: %v", err)
	}
}

func TestBadRequestsToEnroll(t *testing.T) {
	c := serve(t)
	token := c.token(1)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, p384)
	if err != nil {
		t.Fatal(err)
	}
	forged := csr(t, newKey(t))
	forged[len(forged)-1] ^= 1
	for name, tc := range map[string]struct {
		csr  []byte
		want string
	}{"nothing": {nil, "certificate request"}, "another curve": {weak, "P-256"}, "a signature that is not its own": {forged, "certificate request"}, "long": {make([]byte, 5000), "5000 bytes"}} {
		_, err := c.device().dial().Enroll(context.Background(), &pb.EnrollRequest{Token: token, Csr: tc.csr})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
		wantError(t, err, tc.want)
	}
	if err := c.device().enroll(token); err != nil {
		t.Errorf("the token was spent by bad requests: %v", err)
	}
}

func TestWithoutACertificateNothingButEnrolmentIsAnswered(t *testing.T) {
	c := serve(t)
	d := c.device()
	if err := d.checkIn(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("error %v, want Unauthenticated", err)
	}
	if _, err := d.report(0); status.Code(err) != codes.Unauthenticated {
		t.Errorf("error %v, want Unauthenticated", err)
	}
	// Of another collector: the handshake itself fails.
	stranger := serve(t).enrolled()
	d.cert = stranger.cert
	if err := d.checkIn(); err == nil {
		t.Error("a certificate of another CA is accepted")
	}
}

func TestRevocationHoldsFromTheNextCallOn(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	conn := d.dial()
	if _, err := conn.CheckIn(context.Background(), &pb.CheckInRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := c.enroller.Revoke(context.Background(), "test", d.id, "stolen"); err != nil {
		t.Fatal(err)
	}
	_, err := conn.CheckIn(context.Background(), &pb.CheckInRequest{}) // the same connection
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("error %v, want PermissionDenied", err)
	}
	wantError(t, err, "revoked")
	wantError(t, d.enroll(c.token(1)), "revoked")
}

func TestRenewal(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	old, next := *d, newKey(t)
	first, err := d.renew(next, "machine one")
	if err != nil || first.RenewalSequence != 2 {
		t.Fatalf("%v %v", first, err)
	}
	// The reply is lost: the old certificate asks again with the same key.
	again, err := d.renew(next, "machine one")
	if err != nil || !sameBytes(again.CertificateChain[0], first.CertificateChain[0]) {
		t.Errorf("repeated: %v", err)
	}
	if _, err := d.renew(d.key, "machine one"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("renewed with the key in use: %v", err)
	}
	d.key, d.cert = next, &tls.Certificate{Certificate: first.CertificateChain, PrivateKey: next}
	if _, err := d.report(0, section1(t, section.OS, &pb.Device{Os: &pb.Os{Build: "original"}})); err != nil {
		t.Fatal(err)
	}

	// A copy of the state from before the renewal: it is not locked out, its
	// report is kept, and it does not touch the original's record.
	if _, err := old.report(0, section1(t, section.OS, &pb.Device{Os: &pb.Os{Build: "copy"}})); err != nil {
		t.Fatal(err)
	}
	if o, _ := d.held(d.id); o.GetDevice().Os.Build != "original" {
		t.Errorf("the copy overwrote the original: %v", o)
	}
	var record *storagepb.EnrolmentRecord
	copies := 0
	err = c.store.View(context.Background(), func(tx *store.Tx) (err error) {
		if record, err = tx.Enrolment(d.id); err != nil {
			return err
		}
		return tx.ScanObservations(func(o *pb.Observation) error {
			if o.SourceId != d.id && o.GetDevice().Os.Build == "copy" {
				copies++
			}
			return nil
		})
	})
	if err != nil || !record.Conflicted || copies != 1 {
		t.Errorf("conflicted %v, %d observations of the copy, %v", record.Conflicted, copies, err)
	}
	// When the copy renews, it becomes an agent of its own.
	own, err := old.renew(newKey(t), "machine one")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(own.CertificateChain[0])
	if err != nil || leaf.Subject.CommonName == d.id {
		t.Errorf("the copy renewed the original's identity: %v", err)
	}
	if err := d.checkIn(); err != nil {
		t.Errorf("the original is locked out: %v", err)
	}
}

func TestOtherHardwareIsAnotherAgent(t *testing.T) {
	d := serve(t).enrolled()
	r, err := d.renew(newKey(t), "machine two")
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := x509.ParseCertificate(r.CertificateChain[0]); err != nil || leaf.Subject.CommonName == d.id {
		t.Errorf("state that moved to other hardware keeps its identity: %v", err)
	}
}

// Whatever is repeated, lost and interleaved between two keys and one token of
// one use: one identity at most, and whoever has it is never locked out.
func TestEnrolmentStateMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := serve(t)
		token := c.token(1)
		perm := rapid.Permutation([]int{0, 1}).Draw(rt, "keys")
		devices := []*device{c.device(), c.device()}
		owner := -1
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			i := perm[rapid.IntRange(0, 1).Draw(rt, "who")]
			err := devices[i].enroll(token)
			if rapid.Bool().Draw(rt, "the reply is lost") {
				devices[i].cert = nil
			}
			switch {
			case owner < 0 && err != nil:
				rt.Fatalf("the first enrolment is refused: %v", err)
			case owner < 0:
				owner = i
			case (err == nil) != (i == owner):
				rt.Fatalf("device %d enrols (%v), the token is device %d's", i, err, owner)
			}
		}
		if err := devices[owner].enroll(token); err != nil {
			rt.Fatalf("the owner repeats: %v", err)
		}
		if err := devices[owner].checkIn(); err != nil {
			rt.Fatalf("the owner is locked out: %v", err)
		}
	})
}
