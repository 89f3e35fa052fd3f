package enroll

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

var (
	epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ctx   = context.Background()
)

// engine is a database that can be told to take no more data.
type engine struct {
	kv.DB
	full atomic.Bool
}

func (e *engine) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if e.full.Load() {
		return kv.ErrFull
	}
	return e.DB.Update(ctx, fn)
}

// office is a collector's enrolment over an engine in memory.
type office struct {
	*Enroller
	t      rapid.TB
	engine *engine
	clock  time.Time
}

func open(t rapid.TB, device, server *Authority) *office {
	t.Helper()
	o := &office{t: t, engine: &engine{DB: memkv.New()}, clock: epoch}
	st, err := store.Open(ctx, o.engine)
	if err != nil {
		t.Fatal(err)
	}
	o.Enroller = New(st, NewTokens(st, func() time.Time { return o.clock }), device, server, 0)
	return o
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := open(t, authority(t, PurposeDevice), authority(t, PurposeServer))
	t.Cleanup(func() { _ = o.engine.Close() })
	return o
}

func authority(t rapid.TB, purpose string) *Authority {
	t.Helper()
	a, err := newAuthority(purpose, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (o *office) token(uses int32, life time.Duration) *adminpb.CreateTokenResponse {
	o.t.Helper()
	r, err := o.tokens.Create(ctx, "test", &adminpb.CreateTokenRequest{Kind: KindEnroll, Name: "t", MaxUses: uses,
		ExpiresIn: durationpb.New(life), Labels: map[string]string{"site": "A"}})
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

// view reads from the store.
func view[T any](o *office, fn func(*store.Tx) (T, error)) T {
	o.t.Helper()
	var out T
	if err := o.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	}); err != nil {
		o.t.Fatal(err)
	}
	return out
}

func (o *office) record(id string) *storagepb.EnrolmentRecord {
	o.t.Helper()
	return view(o, func(tx *store.Tx) (*storagepb.EnrolmentRecord, error) { return tx.Enrolment(id) })
}

// audited returns the actions of the audit log, whose chain it checks.
func (o *office) audited() (actions []string) {
	o.t.Helper()
	return view(o, func(tx *store.Tx) (actions []string, err error) {
		err = tx.ScanAudit(func(r *storagepb.AuditRecord) error {
			actions = append(actions, r.GetAction())
			return nil
		})
		return actions, err
	})
}

func (o *office) count(action string) (n int) {
	o.t.Helper()
	for _, a := range o.audited() {
		if a == action {
			n++
		}
	}
	return n
}

func newKey(t rapid.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func csrOf(t rapid.TB, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func leaf(t rapid.TB, chain [][]byte) *x509.Certificate {
	t.Helper()
	if len(chain) != 2 {
		t.Fatalf("chain of %d certificates, want the agent's and its authority's", len(chain))
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func contains(t testing.TB, list []string, want string) {
	t.Helper()
	if !slices.Contains(list, want) {
		t.Errorf("%q is not among %q", want, list)
	}
}
