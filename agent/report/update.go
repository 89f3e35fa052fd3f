package report

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// FetchUpdate asks the collector for a version of the agent. The signed manifest
// goes to accept, and the program to what that returns; an error of either ends
// the call. It is called between exchanges.
func (a *Agent) FetchUpdate(ctx context.Context, version string, accept func(manifest []byte) (io.Writer, error)) error {
	if a.id == nil {
		return errors.New("fetch an update: the agent is not enrolled")
	}
	return a.with(func(c Client) error {
		return c.fetchUpdate(ctx, &pb.FetchUpdateRequest{Version: version, Platform: a.Platform}, accept)
	})
}

func (c Client) fetchUpdate(ctx context.Context, r *pb.FetchUpdateRequest, accept func([]byte) (io.Writer, error)) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	stream, err := c.service.FetchUpdate(ctx, r)
	if err != nil {
		return answered("fetch an update", err, false)
	}
	var to io.Writer
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return answered("fetch an update", err, false)
		}
		if to == nil {
			if to, err = accept(m.GetManifest()); err != nil {
				return err
			}
		}
		if len(m.GetData()) == 0 {
			continue
		}
		if _, err := to.Write(m.GetData()); err != nil {
			return fmt.Errorf("fetch an update: %w", err)
		}
	}
}
