package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/updates"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxFetches is how many agents are handed an update at one time, so that a
// fleet that is offered one does not take the whole line. updatePart is the size
// of a message of it, in bytes.
const (
	maxFetches = 16
	updatePart = 64 << 10
)

// offered returns the version that an agent is offered at a check-in, empty for
// none, and notes which it runs.
func (s *Service) offered(ctx context.Context, who enroll.Identity, r *pb.CheckInRequest) string {
	if err := s.enroller.Runs(ctx, who, r.GetAgentVersion()); err != nil {
		// It is noted at the next check-in.
		s.log.Warn("the version of an agent is not noted", "agent_id", who.AgentID, "error", err)
	}
	if s.updates == nil || r.GetUpdatePlatform() == "" {
		return ""
	}
	return s.updates.Offer(updates.Agent{ID: who.AgentID, Version: r.GetAgentVersion(), Platform: r.GetUpdatePlatform(), Labels: who.Labels})
}

// FetchUpdate hands out a version of the agent.
func (s *Service) FetchUpdate(r *pb.FetchUpdateRequest, stream grpc.ServerStreamingServer[pb.FetchUpdateResponse]) error {
	who, err := caller(stream.Context())
	if err != nil {
		return err
	}
	result := "served"
	if err = s.handOut(r, stream); err != nil {
		result = "failed"
		err = s.answer(err)
	}
	s.metrics.updates.With(prometheus.Labels{"result": result}).Inc()
	s.log.Info("update handed out", "agent_id", who.AgentID, "version", r.GetVersion(), "platform", r.GetPlatform(), "result", result)
	return err
}

func (s *Service) handOut(r *pb.FetchUpdateRequest, stream grpc.ServerStreamingServer[pb.FetchUpdateResponse]) error {
	if s.updates == nil {
		return updates.ErrUnavailable
	}
	if !s.fetches.TryAcquire(1) {
		return errFetches
	}
	defer s.fetches.Release(1)
	signed, program, err := s.updates.Open(r.GetVersion(), r.GetPlatform())
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		defer program.Close()
		sent <- send(stream, signed, program)
	}()
	// Sending heeds only what the caller sets: so it is done beside, and ends with
	// the stream, when the call is answered.
	select {
	case err := <-sent:
		return err
	case <-stream.Context().Done():
		return fmt.Errorf("hand out an update: %w", stream.Context().Err())
	}
}

// send sends a manifest and the program after it.
func send(stream grpc.ServerStreamingServer[pb.FetchUpdateResponse], signed []byte, program io.Reader) error {
	if err := stream.Send(&pb.FetchUpdateResponse{Manifest: signed}); err != nil {
		return fmt.Errorf("send the manifest: %w", err)
	}
	for {
		part := make([]byte, updatePart)
		n, err := io.ReadFull(program, part)
		if n > 0 {
			if err := stream.Send(&pb.FetchUpdateResponse{Data: part[:n]}); err != nil {
				return fmt.Errorf("send the update: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the update: %w", err)
		}
	}
}
