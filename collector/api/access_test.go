package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// Who may call what, spelt out once more: a row for each method of the
// service, so that a new one fails here until somebody has decided.
var allowed = map[string]string{
	"ListAssets":           "viewer operator admin servicedesk",
	"GroupAssets":          "viewer operator admin servicedesk",
	"ListSoftware":         "viewer operator admin servicedesk",
	"ListSoftwareAssets":   "viewer operator admin servicedesk",
	"GetAsset":             "viewer operator admin servicedesk",
	"ListAssetSoftware":    "viewer operator admin servicedesk",
	"GetAssetSourceStates": "viewer operator admin servicedesk",
	"WatchChanges":         "viewer operator admin servicedesk",
	"ExportAssets":         "viewer operator admin servicedesk",
	"ListAudit":            "admin auditor",
	"VerifyAudit":          "admin auditor",
	"GetServerInfo":        "viewer operator admin servicedesk",
	"ExplainAsset":         "viewer operator admin servicedesk",
	"GetAssetHistory":      "viewer operator admin servicedesk",
	"AssertAsset":          "operator admin",
	"ListStatements":       "viewer operator admin",
	"DeleteStatement":      "operator admin",
	"PutSource":            "operator admin",
	"ListSources":          "viewer operator admin",
	"DeleteObservation":    "operator admin",
	"ListFindings":         "viewer operator admin servicedesk",
	"ListRules":            "viewer operator admin",
	"GetCompliance":        "viewer operator admin",
	"TryRules":             "operator admin",
	"PutRule":              "admin",
	"DeleteRule":           "admin",
	"GroupFindings":        "viewer operator admin",
	"WaiveFinding":         "operator admin",
	"AcknowledgeFinding":   "operator admin servicedesk",
	"ReopenFinding":        "operator admin",
	"ListFeeds":            "viewer operator admin",
	"RunFeed":              "operator admin",
	"PauseFeed":            "operator admin",
	"CreateFeed":           "admin",
	"UpdateFeed":           "admin",
	"DeleteFeed":           "admin",
	"TestFeed":             "admin",
	"PreviewObservations":  "operator admin",
	"ListAgents":           "viewer operator admin",
	"RevokeAgent":          "operator admin",
	"ListPeople":           "viewer operator admin servicedesk",
	"GetPerson":            "viewer operator admin servicedesk",
	"GetPersonContext":     "viewer operator admin servicedesk",
	"ExplainPerson":        "viewer operator admin servicedesk",
	"GetPersonHistory":     "viewer operator admin servicedesk",
	"AssertPerson":         "operator admin",
	"ErasePerson":          "admin",
	"ListErasures":         "admin",
	"DeleteErasure":        "admin",
	"CreateToken":          "admin",
	"ListTokens":           "admin",
	"RevokeToken":          "admin",
	"GetCaller":            "viewer operator admin servicedesk",
	"SignOut":              "viewer operator admin servicedesk",
	"RevokeSessions":       "admin",

	"ListViews":                "viewer operator admin servicedesk",
	"GetView":                  "viewer operator admin servicedesk",
	"CreateView":               "viewer operator admin servicedesk",
	"UpdateView":               "viewer operator admin servicedesk",
	"DeleteView":               "viewer operator admin servicedesk",
	"ListSubscriptions":        "viewer operator admin",
	"GetSubscription":          "viewer operator admin",
	"CreateSubscription":       "admin",
	"PauseSubscription":        "operator admin",
	"DeleteSubscription":       "admin",
	"TestSubscription":         "operator admin",
	"RotateSubscriptionSecret": "admin",
	"ListDeadLetters":          "viewer operator admin",
	"RetryDeadLetters":         "operator admin",
	"ListAssetVulnerabilities": "viewer operator admin servicedesk",
	"ListVulnerabilities":      "viewer operator admin",
	"GetVulnerability":         "viewer operator admin",
	"GetAdvisoryStatus":        "viewer operator admin",
}

// dial reaches the API over gRPC, on the listener that agents use.
func dial(t *testing.T, s *Service) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(s.UnaryInterceptor), grpc.StreamInterceptor(s.StreamInterceptor))
	s.Register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

func TestEveryMethodForEveryRole(t *testing.T) {
	w := newWorld(t)
	conn := dial(t, w.service)
	tokens := map[string]string{"nobody": "", "enrolment": ""}
	for _, role := range []string{"viewer", "auditor", "operator", "admin", "metrics", "servicedesk"} {
		tokens[role] = w.token(role)
	}
	r, err := w.tokens.Create(t.Context(), "test", &adminpb.CreateTokenRequest{Kind: "enroll"})
	if err != nil {
		t.Fatal(err)
	}
	tokens["enrolment"] = r.GetToken()
	methods := adminpb.File_rollcall_v1_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		roles, decided := allowed[name]
		// The sign-ins that fail here must not use up the address's turns.
		if w.service.failures, err = newFailures(w.service.Now); err != nil {
			t.Fatal(err)
		}
		if !decided {
			t.Errorf("%s: nobody decided who may call it", name)
		}
		for role, token := range tokens {
			ctx := t.Context()
			if token != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
			}
			// The empty request of any method is wrong or finds nothing; that of a
			// stream is made wrong.
			var request proto.Message = &adminpb.GetServerInfoRequest{}
			if methods.Get(i).IsStreamingServer() {
				request = &adminpb.WatchChangesRequest{Cursor: "wrong", Kinds: []string{"wrong"}}
			}
			got := status.Code(conn.Invoke(ctx, "/rollcall.v1.AdminService/"+name, request, &adminpb.RevokeTokenResponse{}))
			want := codes.PermissionDenied
			if role == "nobody" || role == "enrolment" {
				want = codes.Unauthenticated
			}
			if role == "enrolment" && got == codes.ResourceExhausted {
				got = want // so many methods refused it that the next was not even looked at
			}
			may := strings.Contains(" "+roles+" ", " "+role+" ") || role == "auditor" && strings.Contains(roles, "viewer")
			if refused := got == codes.PermissionDenied || got == codes.Unauthenticated; refused == may || (!may && got != want) {
				t.Errorf("%s as %s: %s, may call: %v", name, role, got, may)
			}
		}
	}
}

func TestMetricsNeedAToken(t *testing.T) {
	w := newWorld(t)
	for role, want := range map[string]int{"": 401, "metrics": 200, "viewer": 200, "auditor": 200, "operator": 200, "admin": 200, "servicedesk": 403} {
		token := ""
		if role != "" {
			token = w.token(role)
		}
		code, header, _ := w.ask(token, "GET", "/metrics", "")
		if code != want || (code == 401) != (header.Get("WWW-Authenticate") != "") {
			t.Errorf("role %q: %d, want %d", role, code, want)
		}
	}
}

func TestRevokedTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	token := w.token("viewer")
	id := strings.Split(token, "_")[1]
	if code, _, b := w.ask(w.admin, "DELETE", "/v1/tokens/"+id, ""); code != http.StatusOK {
		t.Fatalf("revoke answers %d: %s", code, b)
	}
	if code, _, b := w.ask(token, "GET", "/v1/assets", ""); code != http.StatusUnauthorized || !strings.Contains(string(b), "revoked") {
		t.Errorf("answers %d: %s", code, b)
	}
}

// Whoever guesses is slowed down; a header cannot make him somebody else.
func TestFailedSignInsAreSlowedDown(t *testing.T) {
	w := newWorld(t)
	w.service.failures.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	before := w.token("viewer")
	if code, _, b := w.ask(before, "GET", "/v1/assets", ""); code != http.StatusOK {
		t.Fatalf("%d %s", code, b)
	}
	var code int
	for i := range failureBurst + 2 {
		req, err := http.NewRequest("GET", w.url+"/v1/assets", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer wrong")
		for _, name := range []string{"X-Forwarded-For", "Grpc-Metadata-" + addressKey, addressKey} {
			req.Header.Set(name, fmt.Sprintf("203.0.113.%d", i))
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if code = resp.StatusCode; code == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if code != http.StatusTooManyRequests {
		t.Errorf("after %d failures: %d", failureBurst+1, code)
	}
	// A token that was right before is not locked out with its address, a new
	// one is, and so is the old one once it is revoked.
	if code, _, b := w.ask(before, "GET", "/v1/assets", ""); code != http.StatusOK {
		t.Errorf("a token that was right before: %d %s", code, b)
	}
	if code, _, _ := w.ask(w.token("viewer"), "GET", "/v1/assets", ""); code != http.StatusTooManyRequests {
		t.Errorf("a token never seen before: %d", code)
	}
	if err := w.tokens.Revoke(t.Context(), "test", strings.Split(before, "_")[1]); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusUnauthorized, http.StatusTooManyRequests} {
		if code, _, _ := w.ask(before, "GET", "/v1/assets", ""); code != want {
			t.Errorf("the token once revoked: %d, want %d", code, want)
		}
	}
}

func TestNetworksOfCallers(t *testing.T) {
	now := time.Unix(0, 0)
	f, err := newFailures(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for i := range failureBurst {
		f.failed(fmt.Sprintf("2001:db8::%x", i), "wrong")
	}
	for address, want := range map[string]bool{"2001:db8::ffff": false, "2001:db8:0:1::1": true, "192.0.2.1": true} {
		if got := f.allow(address, "wrong"); got != want {
			t.Errorf("%s is let through: %v, want %v", address, got, want)
		}
	}
	now = now.Add(failureInterval)
	if !f.allow("2001:db8::1", "wrong") {
		t.Error("still refused after the interval")
	}
	for i := range maxAddresses + 100 {
		f.failed(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "wrong")
	}
	if n := f.cache.Len(); n > maxAddresses {
		t.Errorf("%d addresses are remembered", n)
	}
}

// A panic costs the one call.
func TestPanicIsAnErrorOfItsCall(t *testing.T) {
	w := newWorld(t)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+w.admin))
	_, err := w.service.UnaryInterceptor(ctx, nil, &grpc.UnaryServerInfo{FullMethod: adminpb.AdminService_GetAsset_FullMethodName},
		func(context.Context, any) (any, error) { panic("secret") })
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("error: %v", err)
	}
}

func TestGate(t *testing.T) {
	w := newWorld(t)
	wants := func(when string, wants map[string]int) {
		t.Helper()
		for path, want := range wants {
			code, header, b := w.ask(w.admin, "GET", path, "")
			if code != want || header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s, %s: %d, want %d: %s", when, path, code, want, b)
			}
		}
	}
	wants("open", map[string]int{"/healthz": 200, "/readyz": 200, "/v1/assets": 200, "/": 200, "/openapi.json": 200})
	w.gate.Drain("stopping")
	wants("draining", map[string]int{"/healthz": 200, "/readyz": 503, "/v1/assets": 200})
	if _, _, b := w.ask("", "GET", "/readyz", ""); !strings.Contains(string(b), "stopping") {
		t.Errorf("/readyz says %q", b)
	}
	w.gate.state.Store(&gateState{reason: "starting"})
	wants("starting", map[string]int{"/healthz": 200, "/readyz": 503, "/v1/assets": 503})
}
