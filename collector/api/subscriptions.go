package api

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/notify"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// notifications returns what tells receivers outside, if anything does.
func (s *Service) notifications() (*notify.Notifier, error) {
	if s.Notifications == nil {
		return nil, status.Error(codes.Unimplemented, "this collector tells nobody outside what happens")
	}
	return s.Notifications, nil
}

// subscriptionError turns an error about a subscription into the status that the
// caller gets.
func (s *Service) subscriptionError(doing, id string, err error) error {
	switch {
	case errors.Is(err, notify.ErrUnknown):
		return status.Errorf(codes.NotFound, "there is no subscription %.70q: list them with GET /v1/subscriptions", id)
	case errors.Is(err, notify.ErrTaken):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, notify.ErrConfigured):
		return status.Error(codes.Aborted, err.Error()) // 409, as with feeds
	case errors.Is(err, notify.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, notify.ErrNoLetter):
		return status.Errorf(codes.NotFound, "%v: list them with GET /v1/subscriptions/%.70s/dead-letters", err, id)
	}
	return s.answer(doing, err)
}

// ListSubscriptions tells who is told what, and how that fares.
func (s *Service) ListSubscriptions(ctx context.Context, _ *adminpb.ListSubscriptionsRequest) (*adminpb.ListSubscriptionsResponse, error) {
	if s.Notifications == nil {
		return new(adminpb.ListSubscriptionsResponse), nil
	}
	all, err := s.Notifications.List(ctx)
	if err != nil {
		return nil, s.answer("list the subscriptions", err)
	}
	return &adminpb.ListSubscriptionsResponse{Subscriptions: all}, nil
}

// GetSubscription tells of one subscription and how it fares.
func (s *Service) GetSubscription(ctx context.Context, r *adminpb.GetSubscriptionRequest) (*adminpb.Subscription, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	out, err := n.Get(ctx, r.GetId())
	if err != nil {
		return nil, s.subscriptionError("read the subscription", r.GetId(), err)
	}
	return out, nil
}

// CreateSubscription has a receiver told of what happens from now on.
func (s *Service) CreateSubscription(ctx context.Context, r *adminpb.CreateSubscriptionRequest) (*adminpb.CreateSubscriptionResponse, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	id := r.GetSubscription().GetId()
	secret, err := n.Create(ctx, actor(ctx), r.GetSubscription())
	if err != nil {
		return nil, s.subscriptionError("store the subscription", id, err)
	}
	out, err := n.Get(ctx, id)
	if err != nil {
		return nil, s.subscriptionError("read the subscription", id, err)
	}
	return &adminpb.CreateSubscriptionResponse{Subscription: out, Secret: secret}, nil
}

// PauseSubscription has a subscription wait, or go on with what happened since.
func (s *Service) PauseSubscription(ctx context.Context, r *adminpb.PauseSubscriptionRequest) (*adminpb.Subscription, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	if err := n.Pause(ctx, actor(ctx), r.GetId(), r.GetPaused()); err != nil {
		return nil, s.subscriptionError("pause the subscription", r.GetId(), err)
	}
	out, err := n.Get(ctx, r.GetId())
	if err != nil {
		return nil, s.subscriptionError("read the subscription", r.GetId(), err)
	}
	return out, nil
}

// DeleteSubscription ends a subscription.
func (s *Service) DeleteSubscription(ctx context.Context, r *adminpb.DeleteSubscriptionRequest) (*adminpb.DeleteSubscriptionResponse, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	if err := n.Delete(ctx, actor(ctx), r.GetId()); err != nil {
		return nil, s.subscriptionError("delete the subscription", r.GetId(), err)
	}
	return new(adminpb.DeleteSubscriptionResponse), nil
}

// TestSubscription sends a message that says that it is a test. That the receiver
// does not take it is an answer, and no error of the call.
func (s *Service) TestSubscription(ctx context.Context, r *adminpb.TestSubscriptionRequest) (*adminpb.TestSubscriptionResponse, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	out := new(adminpb.TestSubscriptionResponse)
	if err := n.Test(ctx, r.GetId()); errors.Is(err, notify.ErrUnknown) {
		return nil, s.subscriptionError("test the subscription", r.GetId(), err)
	} else if err != nil {
		out.Error = err.Error()
	}
	return out, nil
}

// RotateSubscriptionSecret makes a new key for a webhook.
func (s *Service) RotateSubscriptionSecret(ctx context.Context, r *adminpb.RotateSubscriptionSecretRequest) (*adminpb.RotateSubscriptionSecretResponse, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	overlap := notify.DefaultOverlap
	if r.GetOverlap() != nil {
		if overlap = r.GetOverlap().AsDuration(); r.GetOverlap().CheckValid() != nil {
			return nil, status.Error(codes.InvalidArgument, "overlap is no span of time: want one like 86400s")
		}
	}
	secret, until, err := n.Rotate(ctx, actor(ctx), r.GetId(), overlap)
	if err != nil {
		return nil, s.subscriptionError("make a new key", r.GetId(), err)
	}
	return &adminpb.RotateSubscriptionSecretResponse{Secret: secret, OldUntil: timestamppb.New(until)}, nil
}

// ListDeadLetters lists the messages that were given up.
func (s *Service) ListDeadLetters(ctx context.Context, r *adminpb.ListDeadLettersRequest) (*adminpb.ListDeadLettersResponse, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	all, err := n.Letters(ctx, r.GetId())
	if err != nil {
		return nil, s.subscriptionError("list the dead letters", r.GetId(), err)
	}
	out := new(adminpb.ListDeadLettersResponse)
	for _, l := range all {
		out.DeadLetters = append(out.DeadLetters, &adminpb.DeadLetter{Id: l.GetId(), Title: l.GetTitle(), Events: l.GetEvents(), ComposedAt: l.GetAt(),
			GivenUpAt: l.GetGivenUpAt(), Attempts: l.GetAttempts(), Error: l.GetError(), Retrying: l.GetRetry()})
	}
	return out, nil
}

// RetryDeadLetters has messages that were given up sent again.
func (s *Service) RetryDeadLetters(ctx context.Context, r *adminpb.RetryDeadLettersRequest) (*adminpb.RetryDeadLettersResponse, error) {
	n, err := s.notifications()
	if err != nil {
		return nil, err
	}
	count, err := n.Retry(ctx, actor(ctx), r.GetId(), r.GetLetters())
	if err != nil {
		return nil, s.subscriptionError("retry the dead letters", r.GetId(), err)
	}
	return &adminpb.RetryDeadLettersResponse{Retried: int32(count)}, nil
}
