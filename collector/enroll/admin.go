package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// presetID is the record of the token that an operator preset.
const presetID = "preset"

// minPreset is the least length of a preset secret.
const minPreset = 16

// EnsureAdmin lets an administrator in: at the first start, when there is no
// token at all, it makes one; a preset secret that an operator chose (any text
// without spaces, 16 to 512 characters) is taken over at any start, in place of
// an earlier preset, unless just that one was revoked. keep is called with a
// new secret before it becomes valid, so that a crash in between cannot leave a
// token that nobody knows. created tells whether the secret is new.
func (t *Tokens) EnsureAdmin(ctx context.Context, preset string, keep func(secret string) error) (created bool, err error) {
	record := &storagepb.TokenRecord{Id: presetID, Kind: KindAPI, Name: "preset administrator", Role: "admin", CreatedAt: timestamppb.New(t.now())}
	secret := preset
	if preset != "" {
		if err := checkPreset(preset); err != nil {
			return false, err
		}
	} else {
		if record.Id, secret, err = newSecret(prefixAPI); err != nil {
			return false, err
		}
		record.Name, record.ExpiresAt = "first administrator", timestamppb.New(t.now().Add(apiLife))
	}
	record.SecretHash = hashSecret(secret)
	needed, err := t.needsAdmin(ctx, record, preset != "")
	if err != nil || !needed {
		return false, err
	}
	if err := keep(secret); err != nil {
		return false, fmt.Errorf("keep the administrator's token: %w", err)
	}
	err = t.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutToken(record); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: record.CreatedAt, Actor: "bootstrap", Action: "token.create", Target: record.Id, Detail: record.Name})
	})
	if err != nil {
		return false, fmt.Errorf("store the administrator's token: %w", err)
	}
	return true, nil
}

// needsAdmin tells whether the record is to be stored: a preset that is not
// there yet, or the first token of all.
func (t *Tokens) needsAdmin(ctx context.Context, record *storagepb.TokenRecord, preset bool) (bool, error) {
	needed := true
	err := t.store.View(ctx, func(tx *store.Tx) error {
		if !preset {
			return tx.ScanTokens("", func(*storagepb.TokenRecord) error {
				needed = false
				return store.Stop
			})
		}
		held, err := tx.Token(presetID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		needed = !equal(held.GetSecretHash(), record.GetSecretHash())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for tokens: %w", err)
	}
	return needed, nil
}

func checkPreset(secret string) error {
	switch {
	case len(secret) < minPreset || !plain(secret, maxSecret) || strings.ContainsAny(secret, " \t"):
		return fmt.Errorf("the preset administrator token must have %d to %d characters without spaces", minPreset, maxSecret)
	case strings.HasPrefix(secret, prefixEnroll+"_"):
		return fmt.Errorf("the preset administrator token must not begin with %s_, which marks enrolment tokens", prefixEnroll)
	}
	return nil
}
