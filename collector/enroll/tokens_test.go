package enroll

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

func TestTokensAreCheckedWhenMade(t *testing.T) {
	o := newOffice(t)
	long := strings.Repeat("x", 200)
	for name, r := range map[string]*adminpb.CreateTokenRequest{
		"no kind":            {},
		"unknown kind":       {Kind: "root"},
		"api without a role": {Kind: KindAPI},
		"unknown role":       {Kind: KindAPI, Role: "god"},
		"enroll with a role": {Kind: KindEnroll, Role: "admin"},
		"api with uses":      {Kind: KindAPI, Role: "admin", MaxUses: 3},
		"negative uses":      {Kind: KindEnroll, MaxUses: -1},
		"too many uses":      {Kind: KindEnroll, MaxUses: maxUses + 1},
		"long name":          {Kind: KindEnroll, Name: long},
		"name of two lines":  {Kind: KindEnroll, Name: "a\nb"},
		"NUL in a label":     {Kind: KindEnroll, Labels: map[string]string{"site": "a\x00b"}},
		"empty label":        {Kind: KindEnroll, Labels: map[string]string{"": "b"}},
		"long label":         {Kind: KindEnroll, Labels: map[string]string{"site": long}},
		"already expired":    {Kind: KindEnroll, ExpiresIn: durationpb.New(-time.Second)},
		"for ever":           {Kind: KindEnroll, ExpiresIn: durationpb.New(maxTokenLife + time.Second)},
		"bent duration":      {Kind: KindEnroll, ExpiresIn: &durationpb.Duration{Seconds: 1, Nanos: -1}},
	} {
		if _, err := o.tokens.Create(ctx, "test", r); !errors.Is(err, ErrBadToken) {
			t.Errorf("%s: error %v, want ErrBadToken", name, err)
		}
	}
	if got := o.audited(); len(got) != 0 {
		t.Errorf("refused requests left %q in the audit log", got)
	}
}

func TestTokensForTheAPI(t *testing.T) {
	o := newOffice(t)
	made, err := o.tokens.Create(ctx, "test", &adminpb.CreateTokenRequest{Kind: KindAPI, Role: "viewer", ExpiresIn: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.tokens.Verify(ctx, made.GetToken())
	if err != nil || r.GetRole() != "viewer" || r.GetId() != made.GetId() {
		t.Errorf("%v %v", r, err)
	}
	for _, secret := range []string{"", "_", "rca_", made.Token + "x", strings.Replace(made.Token, "rca_", "rce_", 1), strings.ToUpper(made.Token),
		made.Token[:len(made.Token)-1], "rca_" + made.Id + "_", "rca_a\x00b45678_x", strings.Repeat("a", 10_000)} {
		if _, err := o.tokens.Verify(ctx, secret); !errors.Is(err, ErrUnknownToken) {
			t.Errorf("secret %.40q: %v", secret, err)
		}
	}
	_, err = o.tokens.Verify(ctx, o.token(1, time.Hour).Token)
	wantIs(t, err, ErrUnknownToken)
	o.clock = epoch.Add(time.Hour)
	_, err = o.tokens.Verify(ctx, made.Token)
	wantIs(t, err, ErrExpired)
	o.clock = epoch
	if err := o.tokens.Revoke(ctx, "test", made.Id); err != nil {
		t.Error(err)
	}
	_, err = o.tokens.Verify(ctx, made.Token)
	wantIs(t, err, ErrRevokedToken)
	wantIs(t, o.tokens.Revoke(ctx, "test", "nothere1"), store.ErrNotFound)
	contains(t, o.audited(), "token.revoke")
}

// Whoever reads the database cannot call with what is there.
func TestSecretsAreNotStored(t *testing.T) {
	o := newOffice(t)
	secret := o.token(1, time.Hour).Token
	err := o.engine.View(ctx, func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) error {
			if bytes.Contains(v, []byte(secret[13:])) || bytes.Contains(k, []byte(secret[13:])) {
				t.Errorf("the secret stands under key %q", k)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTokensAreListedInPages(t *testing.T) {
	o := newOffice(t)
	want := map[string]bool{}
	for range 5 {
		want[o.token(3, time.Hour).Id] = true
	}
	got := map[string]bool{}
	for after := ""; ; {
		page, err := o.tokens.List(ctx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, token := range page {
			got[token.Id], after = true, token.Id
			if token.MaxUses != 3 || token.Labels["site"] != "A" || token.Kind != KindEnroll {
				t.Errorf("token %v", token)
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

func TestTheFirstAdministrator(t *testing.T) {
	o := newOffice(t)
	var kept string
	keep := func(secret string) error { kept = secret; return nil }
	full := errors.New("no space")
	if _, err := o.tokens.EnsureAdmin(ctx, "", func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("a secret that could not be kept: %v", err)
	}
	// The crash between keeping the secret and storing its hash.
	o.engine.full.Store(true)
	if _, err := o.tokens.EnsureAdmin(ctx, "", keep); !errors.Is(err, kv.ErrFull) {
		t.Errorf("a full store: %v", err)
	}
	o.engine.full.Store(false)
	if _, err := o.tokens.Verify(ctx, kept); !errors.Is(err, ErrUnknownToken) {
		t.Errorf("a secret that was not stored: %v", err)
	}
	for start, want := range []bool{true, false, false} {
		created, err := o.tokens.EnsureAdmin(ctx, "", keep)
		if err != nil || created != want {
			t.Errorf("start %d: created %v, %v", start, created, err)
		}
	}
	if r, err := o.tokens.Verify(ctx, kept); err != nil || r.GetRole() != "admin" {
		t.Errorf("the first administrator: %v %v", r, err)
	}
}

func TestAPresetAdministrator(t *testing.T) {
	o := newOffice(t)
	keep := func(string) error { return nil }
	for _, bad := range []string{"short", strings.Repeat("x", 513), "with a space in the middle", "rce_abcdefgh_0123456789", "line\nbreak0123456789"} {
		if _, err := o.tokens.EnsureAdmin(ctx, bad, keep); err == nil {
			t.Errorf("preset %q is accepted", bad)
		}
	}
	first, second := "correct-horse-battery", "rca_abcdefgh_staple0123"
	for _, preset := range []string{first, second} {
		if created, err := o.tokens.EnsureAdmin(ctx, preset, keep); err != nil || !created {
			t.Errorf("preset %q: %v %v", preset, created, err)
		}
		if created, err := o.tokens.EnsureAdmin(ctx, preset, keep); err != nil || created {
			t.Errorf("preset %q again: %v %v", preset, created, err)
		}
		if r, err := o.tokens.Verify(ctx, preset); err != nil || r.GetRole() != "admin" {
			t.Errorf("preset %q: %v %v", preset, r, err)
		}
	}
	_, err := o.tokens.Verify(ctx, first)
	wantIs(t, err, ErrUnknownToken)
	if err := o.tokens.Revoke(ctx, "test", presetID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.tokens.EnsureAdmin(ctx, second, keep); err != nil {
		t.Fatal(err)
	}
	_, err = o.tokens.Verify(ctx, second)
	wantIs(t, err, ErrRevokedToken)
}

func FuzzTokenID(f *testing.F) {
	f.Add("rca_abcdefgh_secret")
	f.Add("rce_abcdefgh_")
	f.Add("rca__")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := tokenID(s); ok && (len(id) != idLen || !strings.Contains(s, "_"+id+"_")) {
			t.Errorf("%q has id %q", s, id)
		}
	})
}
