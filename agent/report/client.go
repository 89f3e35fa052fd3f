package report

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Timeouts of the calls, and bounds of the messages.
const (
	callTimeout   = 60 * time.Second
	reportTimeout = 5 * time.Minute
	fetchTimeout  = 15 * time.Minute
	maxAnswer     = 256 << 10
	maxRequest    = 1 << 20
)

// Dialer opens connections to one collector.
type Dialer struct {
	// Addr is the collector's host:port.
	Addr string
	// Proxy finds the HTTP proxy; nil for a direct connection.
	Proxy Proxy
	// Options are added to those of every connection, for measurements.
	Options []grpc.DialOption
}

// Dial returns a connection that proves itself with conf. It connects when the
// first call is made; nothing of it stays after Close.
func (d Dialer) Dial(conf *tls.Config) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return d.Proxy.dial(ctx, d.Addr) }),
		grpc.WithNoProxy(), // the dialer goes through the proxy itself
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithDisableHealthCheck(),
		grpc.WithReadBufferSize(4 << 10), grpc.WithWriteBufferSize(16 << 10),
		grpc.WithMaxHeaderListSize(16 << 10),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(maxRequest)),
	}
	// passthrough: the name is resolved by the dialer, or by the proxy.
	conn, err := grpc.NewClient("passthrough:///"+d.Addr, append(options, d.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("prepare a connection to %s: %w", d.Addr, err)
	}
	return conn, nil
}

// serverName returns the host of an address, for the certificate to match.
func (d Dialer) serverName() (string, error) {
	host, _, err := net.SplitHostPort(d.Addr)
	if err != nil || host == "" {
		return "", fmt.Errorf("collector address %q: want host:port, such as collector.example:8471", d.Addr)
	}
	return host, nil
}

// Client makes the calls of the agent protocol over a connection, each
// with a timeout and errors that say what to do. Several may share one.
type Client struct{ service pb.AgentServiceClient }

// NewClient returns a client of a connection that the caller closes.
func NewClient(conn grpc.ClientConnInterface) Client {
	return Client{service: pb.NewAgentServiceClient(conn)}
}

// Enroll exchanges a token for a certificate.
func (c Client) Enroll(ctx context.Context, req *pb.EnrollRequest) (*pb.EnrollResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.service.Enroll(ctx, req)
	return resp, answered("enrol", err, true)
}

// Renew exchanges the certificate of the connection for its successor.
func (c Client) Renew(ctx context.Context, req *pb.RenewRequest) (*pb.RenewResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.service.Renew(ctx, req)
	return resp, answered("renew the certificate", err, false)
}

// CheckIn tells digests and learns what is wanted.
func (c Client) CheckIn(ctx context.Context, req *pb.CheckInRequest) (*pb.CheckInResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.service.CheckIn(ctx, req)
	return resp, answered("check in", err, false)
}

// maxSmall is the size, in bytes, up to which a report goes as one message
// without a stream.
const maxSmall = 48 << 10

// Report hands in an envelope.
func (c Client) Report(ctx context.Context, e *Envelope) (*pb.ReportResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if proto.Size(e.Header)+e.Size() <= maxSmall {
		var resp *pb.ReportResponse
		err := e.messages(func(m *pb.ReportRequest) (err error) {
			resp, err = c.service.ReportSmall(ctx, m)
			return err
		})
		// A collector of the release before knows only the stream.
		if status.Code(err) != codes.Unimplemented {
			return resp, answered("report", err, false)
		}
	}
	stream, err := c.service.Report(ctx)
	if err != nil {
		return nil, answered("report", err, false)
	}
	err = e.messages(stream.Send)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, answered("report", err, false)
	}
	// After io.EOF the answer says why the collector stopped listening.
	resp, err := stream.CloseAndRecv()
	return resp, answered("report", err, false)
}
