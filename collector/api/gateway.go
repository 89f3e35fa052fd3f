package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	gatewaypb "github.com/rollcall-itam/rollcall/proto/gateway/rollcall/v1"
)

// jsonText writes JSON as the API has it.
var jsonText = protojson.MarshalOptions{UseProtoNames: true}

const (
	pipeSize = 256 << 10
	// maxMessage has room for one record over maxPageBytes.
	maxMessage = 64 << 20
)

// gateway translates REST into calls of a gRPC server of its own, which is
// reached through memory only: both ways of asking run the same code.
type gateway struct {
	http.Handler
	server *grpc.Server
	conn   *grpc.ClientConn
	served chan error
}

func (s *Service) newGateway() (*gateway, error) {
	pipe := bufconn.Listen(pipeSize)
	g := &gateway{served: make(chan error, 1)}
	g.server = grpc.NewServer(grpc.UnaryInterceptor(s.gatewayInterceptor), grpc.StreamInterceptor(s.gatewayStreamInterceptor), grpc.MaxSendMsgSize(maxMessage), grpc.MaxRecvMsgSize(maxBody))
	s.Register(g.server)
	go func() { g.served <- g.server.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:///rollcall", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect the gateway: %w", err), g.close())
	}
	g.conn = conn
	mux := newMux()
	// The calls end with the requests they serve; nothing ends with this one.
	if err := gatewaypb.RegisterAdminServiceHandlerClient(context.Background(), mux, adminpb.NewAdminServiceClient(conn)); err != nil {
		return nil, errors.Join(fmt.Errorf("register the gateway: %w", err), g.close())
	}
	g.Handler = mux
	return g, nil
}

func (g *gateway) close() error {
	var err error
	if g.conn != nil {
		err = g.conn.Close()
	}
	g.server.Stop()
	if served := <-g.served; !errors.Is(served, grpc.ErrServerStopped) {
		err = errors.Join(err, served)
	}
	return err
}

// addressKey is the metadata in which the gateway tells who asked. Only the
// gateway reaches the server that believes it, and no header of a request can
// set it.
const addressKey = "rollcall-address"

func (s *Service) gatewayInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return s.serve(ctx, gatewayAddress(ctx), req, info, handler)
}

func (s *Service) gatewayStreamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return s.serveStream(srv, &callerStream{ServerStream: stream, address: gatewayAddress(stream.Context())}, info, handler)
}

func gatewayAddress(ctx context.Context) string {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(addressKey)) > 0 {
		return md.Get(addressKey)[0]
	}
	return ""
}

func newMux() *runtime.ServeMux {
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{MarshalOptions: jsonText}),
		// Of the headers only Authorization goes on, which the gateway sees to.
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
			return metadata.Pairs(addressKey, host(r.RemoteAddr))
		}),
		runtime.SetQueryParameterParser(strictQuery{}),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
			writeError(w, err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
			writeRoutingError(w, r, code)
		}),
	)
}

// strictQuery refuses parameters that the call does not have: one that is
// misspelt would otherwise ask for everything.
type strictQuery struct{}

// noFilter lets every field of a message be a parameter.
var noFilter = utilities.NewDoubleArray(nil)

// Parse reads the parameters of a request into msg.
func (strictQuery) Parse(msg proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	fields := msg.ProtoReflect().Descriptor().Fields()
	for name := range values {
		top, _, _ := strings.Cut(name, "[")
		top, _, _ = strings.Cut(top, ".")
		if fields.ByTextName(top) == nil {
			var known []string
			for i := range fields.Len() {
				known = append(known, string(fields.Get(i).Name()))
			}
			slices.Sort(known)
			return fmt.Errorf("there is no parameter %.100q here, only: %s", name, strings.Join(known, ", "))
		}
	}
	return (&runtime.DefaultQueryParser{}).Parse(msg, values, filter)
}

// writeError answers with a google.rpc.Status, as JSON.
func writeError(w http.ResponseWriter, err error) {
	var tooLong *http.MaxBytesError
	code := runtime.HTTPStatusFromCode(status.Code(err))
	if errors.As(err, &tooLong) || strings.Contains(err.Error(), "http: request body too large") {
		code, err = http.StatusRequestEntityTooLarge, errTooLong
	}
	writeStatus(w, code, status.Convert(err))
}

var errTooLong = status.Errorf(codes.InvalidArgument, "the body of a request may have %d bytes", maxBody)

func writeRoutingError(w http.ResponseWriter, r *http.Request, code int) {
	st := status.New(codes.NotFound, fmt.Sprintf("there is nothing at %.200q: the paths are in /openapi.json", r.URL.Path))
	switch code {
	case http.StatusMethodNotAllowed:
		st = status.New(codes.Unimplemented, fmt.Sprintf("%.20s is not possible at %.200q: what is stands in /openapi.json", r.Method, r.URL.Path))
	case http.StatusBadRequest:
		st = status.New(codes.InvalidArgument, "the path cannot be read: look at its escapes")
	}
	writeStatus(w, code, st)
}

func writeStatus(w http.ResponseWriter, code int, st *status.Status) {
	h := w.Header()
	switch code {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="rollcall"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		for _, d := range st.Details() {
			if retry, ok := d.(*errdetails.RetryInfo); ok {
				h.Set("Retry-After", strconv.Itoa(int(retry.GetRetryDelay().AsDuration().Seconds())))
			}
		}
	}
	body, err := jsonText.Marshal(st.Proto())
	if err != nil {
		body = []byte(`{"code":13,"message":"the error could not be written as JSON"}`)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // whoever asked may be gone
}
