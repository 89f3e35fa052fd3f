package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// inbox is the messages of one report as they arrive.
type inbox interface {
	// next returns the next message, io.EOF after the last, and errSlow once the
	// call has taken too long.
	next() (*pb.ReportRequest, error)
}

// one is the inbox of a report that is a single message.
type one struct{ message *pb.ReportRequest }

func single(r *pb.ReportRequest) inbox { return &one{r} }

func (o *one) next() (*pb.ReportRequest, error) {
	if o.message == nil {
		return nil, io.EOF
	}
	m := o.message
	o.message = nil
	return m, nil
}

// streamed is the inbox of a stream. Receiving from a gRPC stream heeds only the
// deadline that the caller set: so it is done beside, and ends with the stream,
// when the call is answered.
type streamed struct {
	ctx      context.Context
	messages chan message
}

type message struct {
	*pb.ReportRequest
	err error
}

func listen(ctx context.Context, stream pb.AgentService_ReportServer) inbox {
	in := streamed{ctx: ctx, messages: make(chan message)}
	go func() {
		for {
			m, err := stream.Recv()
			select {
			case in.messages <- message{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

func (in streamed) next() (*pb.ReportRequest, error) {
	select {
	case m := <-in.messages:
		if m.err != nil && !errors.Is(m.err, io.EOF) {
			return nil, fmt.Errorf("receive the report: %w", m.err)
		}
		return m.ReportRequest, m.err
	case <-in.ctx.Done():
		if errors.Is(in.ctx.Err(), context.DeadlineExceeded) {
			return nil, errSlow
		}
		return nil, fmt.Errorf("receive the report: %w", in.ctx.Err())
	}
}

// joinPayload joins the payload of a report, of exactly size bytes.
func joinPayload(in inbox, first *pb.ReportRequest, size int64) ([]byte, error) {
	data := first.GetData()
	for {
		if int64(len(data)) > size {
			return nil, fmt.Errorf("%w: more than the %d bytes of payload that were announced", errInvalid, size)
		}
		m, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if m.GetHeader() != nil {
			return nil, fmt.Errorf("%w: a second header", errInvalid)
		}
		if int64(cap(data)) < size {
			data = append(make([]byte, 0, size), data...)
		}
		data = append(data, m.GetData()...)
	}
	if int64(len(data)) != size {
		return nil, fmt.Errorf("%w: %d bytes of payload arrived, %d were announced: it was cut short; report again", errInvalid, len(data), size)
	}
	return data, nil
}
