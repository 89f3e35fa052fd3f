package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// audited names what is written to the audit log once a call has changed
// something, or has taken data out. Calls of the tokens, of views and of enrolment are not
// here: they write theirs in the transaction of the change.
var audited = map[string]string{
	adminpb.AdminService_AssertAsset_FullMethodName:       "asset.assert",
	adminpb.AdminService_AssertPerson_FullMethodName:      "person.assert",
	adminpb.AdminService_DeleteStatement_FullMethodName:   "statement.delete",
	adminpb.AdminService_PutSource_FullMethodName:         "source.put",
	adminpb.AdminService_DeleteObservation_FullMethodName: "observation.delete",
	adminpb.AdminService_RunFeed_FullMethodName:           "feed.run",
	adminpb.AdminService_PauseFeed_FullMethodName:         "feed.pause",
	adminpb.AdminService_ExportAssets_FullMethodName:      "asset.export",
	adminpb.AdminService_CreateFeed_FullMethodName:        "feed.create",
	adminpb.AdminService_UpdateFeed_FullMethodName:        "feed.update",
	adminpb.AdminService_DeleteFeed_FullMethodName:        "feed.delete",
	adminpb.AdminService_TestSubscription_FullMethodName:  "subscription.test",
}

// secretive are the calls whose requests hold secrets: of them the log has the
// target only.
var secretive = map[string]bool{adminpb.AdminService_CreateFeed_FullMethodName: true, adminpb.AdminService_UpdateFeed_FullMethodName: true}

// maxAuditDetail bounds what of a request is kept, in bytes.
const maxAuditDetail = 2 << 10

// record writes to the audit log what a call did.
func (s *Service) record(ctx context.Context, method string, req any) error {
	action, ok := audited[method]
	m, isMessage := req.(proto.Message)
	if !ok || !isMessage {
		return nil
	}
	target := ""
	if r, ok := req.(interface{ GetId() string }); ok {
		target = r.GetId()
	}
	if secretive[method] {
		return s.note(ctx, action, target, "")
	}
	return s.note(ctx, action, target, detail(m))
}

// note appends an entry to the audit log.
func (s *Service) note(ctx context.Context, action, target, detail string) error {
	if err := s.append(ctx, action, target, detail); err != nil {
		return status.Errorf(codes.Internal, "it is done, but could not be written to the audit log; the collector's log has the details")
	}
	return nil
}

// append is note with the error of the store, which it has logged.
func (s *Service) append(ctx context.Context, action, target, detail string) error {
	err := s.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(s.Now()), Actor: actor(ctx), Action: action, Target: target, Detail: detail})
	})
	if err != nil {
		s.Logger.Error("audit entry could not be written", "action", action, "actor", actor(ctx), "target", target, "error", err)
	}
	return err
}

// detail is a request as the audit log keeps it.
func detail(m proto.Message) string {
	b, err := jsonText.Marshal(m)
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(b[:min(len(b), maxAuditDetail)]), "")
}

// Bounds of what is recorded of those who sign in.
const (
	signInEvery    = 24 * time.Hour
	maxSignIns     = 10_000
	signInRetry    = time.Minute
	refusedEvery   = time.Minute
	maxRefusedText = 300
)

// signIns remembers who has signed in lately from where, so that the audit log
// has an entry a day and not one a call.
type signIns struct {
	mu      sync.Mutex
	seen    map[string]time.Time
	refused time.Time
	missed  int
}

// first tells whether a token was not used from an address lately.
func (x *signIns) first(token, address string, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := token + " " + network(address)
	if at, ok := x.seen[key]; ok && now.Sub(at) < signInEvery {
		return false
	}
	if x.seen == nil || len(x.seen) >= maxSignIns {
		x.seen = make(map[string]time.Time)
	}
	x.seen[key] = now
	return true
}

// again has the next use of a token from an address after a time be recorded.
func (x *signIns) again(token, address string, at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen[token+" "+network(address)] = at.Add(-signInEvery)
}

// refusal tells whether a refused sign-in is to be recorded, and how many were
// not since the last that was: strangers must not be able to fill the log.
func (x *signIns) refusal(now time.Time) (missed int, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.Sub(x.refused) < refusedEvery {
		x.missed++
		return 0, false
	}
	missed, x.refused, x.missed = x.missed, now, 0
	return missed, true
}

// signedIn records that somebody's token was used. Where there is no space for
// that, questions are answered all the same, and it is tried again in a while.
func (s *Service) signedIn(ctx context.Context, c *caller, address string) error {
	now := s.Now()
	if !s.signIns.first(c.account, address, now) {
		return nil
	}
	err := s.append(ctx, "signin", address, c.role+" "+c.title)
	switch {
	case errors.Is(err, store.ErrFull):
		s.signIns.again(c.account, address, now.Add(signInRetry))
		return nil
	case err != nil:
		s.signIns.again(c.account, address, now)
		return status.Errorf(codes.Internal, "that you signed in could not be written to the audit log, and nothing is answered without; the collector's log has the details")
	}
	return nil
}

// refusedSignIn records that somebody was turned away.
func (s *Service) refusedSignIn(ctx context.Context, address string, reason error) {
	if missed, ok := s.signIns.refusal(s.Now()); ok {
		text := reason.Error()
		_ = s.note(ctx, "signin.refused", address, fmt.Sprintf("%s (%d more since the last such entry)", text[:min(len(text), maxRefusedText)], missed)) // note logs it
	}
}

// Bounds of page_size.
const (
	defaultAuditPage = 100
	maxAuditPage     = 1000
	// maxAuditLook bounds how many entries are looked at for one page.
	maxAuditLook = 20_000
)

// ListAudit tells who did what, the latest first.
func (s *Service) ListAudit(ctx context.Context, r *adminpb.ListAuditRequest) (*adminpb.ListAuditResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultAuditPage, maxAuditPage)
	if err != nil {
		return nil, err
	}
	after, until, err := span(r.GetSince(), r.GetUntil())
	if err != nil {
		return nil, err
	}
	list := fmt.Sprintf("audit %q %q %d %d", r.GetActor(), r.GetAction(), r.GetSince().GetSeconds(), r.GetUntil().GetSeconds())
	key, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := new(adminpb.ListAuditResponse)
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		next, _, err := tx.AuditHead()
		if err != nil {
			return err
		}
		if key != "" {
			if next, err = strconv.ParseInt(key, 10, 64); err != nil {
				return errPageToken
			}
		}
		for looked := 0; next > 0 && ctx.Err() == nil; next-- {
			if len(out.Entries) == limit || looked == maxAuditLook {
				out.NextPageToken = nextPage(list, strconv.FormatInt(next, 10))
				return nil
			}
			looked++
			e, err := tx.Audit(next)
			if err != nil {
				return err
			}
			at := e.GetAt().AsTime()
			if !at.After(after) && !after.IsZero() {
				return nil
			}
			if !until.IsZero() && at.After(until) || r.GetActor() != "" && e.GetActor() != r.GetActor() || !strings.HasPrefix(e.GetAction(), r.GetAction()) {
				continue
			}
			out.Entries = append(out.Entries, &adminpb.AuditEntry{Sequence: e.GetSequence(), At: e.GetAt(), Actor: e.GetActor(), Action: e.GetAction(),
				Target: e.GetTarget(), Detail: e.GetDetail(), Scope: e.GetScope(), Hash: hex.EncodeToString(e.GetHash())})
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("read the audit log", err)
	}
	return out, nil
}

// VerifyAudit checks the audit log.
func (s *Service) VerifyAudit(ctx context.Context, _ *adminpb.VerifyAuditRequest) (*adminpb.VerifyAuditResponse, error) {
	out := new(adminpb.VerifyAuditResponse)
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		n, hash, err := tx.VerifyAudit(ctx)
		out.Entries, out.Hash = n, hex.EncodeToString(hash)
		return err
	})
	if errors.Is(err, store.ErrAudit) {
		s.Logger.Error("audit log is not what was written", "error", err)
		out.Fault = err.Error()
		return out, nil
	}
	if err != nil {
		return nil, s.answer("verify the audit log", err)
	}
	return out, nil
}
