package api

import (
	"errors"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/feed"
)

// hooksPath is where systems tell that something has changed.
const hooksPath = "/v1/hooks/{feed}"

// hook takes the call of a system. It has no token: the feed's own secret
// verifies it.
func (s *Service) hook(w http.ResponseWriter, r *http.Request) {
	id, address := r.PathValue("feed"), host(r.RemoteAddr)
	// What is wrong uses up an address's turns, as wrong tokens do.
	if !s.failures.allow(address, "hook "+id) {
		writeError(w, later(codes.ResourceExhausted, "too many calls from this address could not be verified", retryLater))
		return
	}
	if s.Feeds == nil {
		writeError(w, status.Error(codes.NotFound, "no system is connected"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, err)
		return
	}
	answer, err := s.Feeds.Hook(id, r, body)
	switch {
	case errors.Is(err, feed.ErrUnknown):
		writeError(w, status.Errorf(codes.NotFound, "there is no feed %.100q with a webhook, or no secret is set for it", id))
	case errors.Is(err, feed.ErrUnverified):
		s.failures.failed(address, "hook "+id)
		s.Logger.Warn("call of a webhook could not be verified", "feed", id, "address", address)
		writeError(w, status.Error(codes.PermissionDenied, err.Error()))
	case err != nil:
		writeError(w, s.answer("take the call", err))
	case answer.Text != "":
		w.Header().Set("Content-Type", answer.Type)
		_, _ = io.WriteString(w, answer.Text) // whoever asked may be gone
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}
