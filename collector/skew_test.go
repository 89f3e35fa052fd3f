package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/klauspost/compress/zstd"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// talk is one agent's side of a conversation, said again to another collector.
type talk struct {
	*running
	key     *ecdsa.PrivateKey
	roots   *x509.CertPool
	conn    *grpc.ClientConn
	agents  pb.AgentServiceClient
	digests map[string][]byte
	// generation is what the collector said last; that of the recording is
	// another's.
	generation int64
	// newer changes requests to those of an agent that does not exist yet.
	newer bool
}

func (k *talk) dial(t *testing.T, certificate ...tls.Certificate) {
	t.Helper()
	conf := &tls.Config{RootCAs: k.roots, ServerName: "localhost", Certificates: certificate, MinVersion: tls.VersionTLS13}
	conn, err := grpc.NewClient("passthrough:///"+k.grpc.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	k.conn, k.agents = conn, pb.NewAgentServiceClient(conn)
}

// say repeats one recorded call.
func (k *talk) say(t *testing.T, call string, request []byte) {
	t.Helper()
	var err error
	switch call {
	case "Enroll":
		err = k.enrol(t, request)
	case "CheckIn":
		r := decoded(t, request, new(pb.CheckInRequest))
		if k.newer {
			r.Sections = append(r.Sections, &pb.SectionDigest{Name: "holograms", Digest: make([]byte, 1000)})
			strange(r)
		}
		if r.Generation != 0 {
			r.Generation = k.generation
		}
		_, err = k.agents.CheckIn(t.Context(), r)
	case "Report", "ReportSmall":
		err = k.report(t, call, decoded(t, request, new(pb.ReportRequest)))
	default:
		t.Fatalf("%s was recorded, which nothing repeats", call)
	}
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
}

func decoded[M proto.Message](t *testing.T, b []byte, m M) M {
	t.Helper()
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (k *talk) enrol(t *testing.T, request []byte) (err error) {
	t.Helper()
	r := decoded(t, request, new(pb.EnrollRequest))
	if k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	if r.Csr, err = x509.CreateCertificateRequest(rand.Reader, new(x509.CertificateRequest), k.key); err != nil {
		return err
	}
	var made struct{ Token string }
	k.ask(t, "POST", "/v1/tokens", `{"kind":"enroll","name":"skew","max_uses":1}`, &made)
	r.Token = made.Token
	if k.newer {
		strange(r)
	}
	k.dial(t)
	resp, err := k.agents.Enroll(t.Context(), r)
	if err != nil {
		return err
	}
	k.dial(t, tls.Certificate{Certificate: resp.GetCertificateChain(), PrivateKey: k.key})
	return nil
}

func (k *talk) report(t *testing.T, call string, r *pb.ReportRequest) error {
	t.Helper()
	if k.newer {
		k.widen(t, r)
	}
	if r.Header.BaseGeneration != 0 {
		r.Header.BaseGeneration = k.generation
	}
	for _, s := range r.GetHeader().GetSections() {
		if section.Known(s.GetName()) {
			k.digests[s.GetName()] = s.GetDigest()
		}
	}
	resp, err := k.hand(t.Context(), call, r)
	if err != nil {
		return err
	}
	if resp.GetSendAll() || resp.GetGeneration() == 0 {
		t.Errorf("%s with base generation %d is answered with %v", call, r.GetHeader().GetBaseGeneration(), resp)
	}
	k.generation = resp.GetGeneration()
	return nil
}

func (k *talk) hand(ctx context.Context, call string, r *pb.ReportRequest) (*pb.ReportResponse, error) {
	if call == "ReportSmall" {
		return k.agents.ReportSmall(ctx, r)
	}
	stream, err := k.agents.Report(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(r); err != nil && err != io.EOF {
		return nil, err
	}
	return stream.CloseAndRecv()
}

// strange adds a field that this version does not know.
func strange(m proto.Message) {
	m.ProtoReflect().SetUnknown(appendStrange(m.ProtoReflect().GetUnknown()))
}

func appendStrange(b []byte) []byte {
	return protowire.AppendString(protowire.AppendTag(b, 9000, protowire.BytesType), "from the future")
}

// widen makes a report one of a newer agent: with a section, a state and fields
// that are not known here.
func (k *talk) widen(t *testing.T, r *pb.ReportRequest) {
	t.Helper()
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	unpacker, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unpacker.Close()
	var data []byte
	rest := r.GetData()
	for _, s := range r.GetHeader().GetSections() {
		encoded, err := unpacker.DecodeAll(rest[:s.GetPayloadBytes()], nil)
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[s.GetPayloadBytes():]
		k.widenSection(t, s, &encoded)
		packed := packer.EncodeAll(encoded, nil)
		s.PayloadBytes, s.DecodedBytes = int64(len(packed)), int64(len(encoded))
		data = append(data, packed...)
		strange(s)
	}
	unknown := packer.EncodeAll([]byte("no device at all"), nil)
	r.Header.Sections = append(r.Header.Sections, &pb.SectionHeader{Name: "holograms", State: "translucent", PayloadBytes: int64(len(unknown)), DecodedBytes: 16})
	r.Data = append(data, unknown...)
	strange(r.Header)
	strange(r)
}

func (k *talk) widenSection(t *testing.T, s *pb.SectionHeader, encoded *[]byte) {
	t.Helper()
	if len(*encoded) == 0 {
		return
	}
	var err error
	if !s.GetDelta() {
		if s.GetName() == section.Software {
			*encoded = widenRows(t, *encoded)
		}
		*encoded = appendStrange(*encoded)
		s.Digest, err = section.Digest(s.GetName(), *encoded)
	} else {
		*encoded = appendStrange(widenRows(t, *encoded))
		s.BaseDigest = k.digests[s.GetName()]
		sum := section.Sum(s.BaseDigest)
		err = section.EachRow(*encoded, section.FieldDeltaRemoved, func(row []byte) error { sum.Sub(sha256.Sum256(row)); return nil })
		if err == nil {
			err = section.EachRow(*encoded, section.FieldDeltaAdded, func(row []byte) error { sum.Add(sha256.Sum256(row)); return nil })
		}
		s.Digest = sum[:]
	}
	if err != nil {
		t.Fatal(err)
	}
}

// widenRows adds a strange field to every row of a software section.
func widenRows(t *testing.T, encoded []byte) (wide []byte) {
	t.Helper()
	for len(encoded) > 0 {
		num, typ, n := protowire.ConsumeTag(encoded)
		row, m := protowire.ConsumeBytes(encoded[max(n, 0):])
		if n < 0 || m < 0 || typ != protowire.BytesType {
			t.Fatalf("software is %x", encoded)
		}
		wide = protowire.AppendBytes(protowire.AppendTag(wide, num, typ), appendStrange(bytes.Clone(row)))
		encoded = encoded[n+m:]
	}
	return wide
}

// What agents of older versions said is said again to this collector, and once
// more as an agent would that is newer than it: each enrols, and its reports are
// filed whole.
func TestAgentsOfOtherVersionsAreUnderstood(t *testing.T) {
	recorded, err := filepath.Glob("testdata/agents/*.txt")
	if err != nil || len(recorded) < 2 {
		t.Fatal(recorded, err)
	}
	r := start(t, testSettings(t.TempDir()), io.Discard)
	pem, err := os.ReadFile(filepath.Join(r.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	known := make(map[string]bool)
	for _, name := range recorded {
		for _, newer := range []bool{false, true} {
			k := &talk{running: r, roots: roots, digests: make(map[string][]byte), newer: newer}
			k.converse(t, name)
			k.filed(t, name, known)
			if t.Failed() {
				t.Fatalf("%s, newer than this collector: %v", name, newer)
			}
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// converse says all that was recorded, and checks that both sides then hold the same.
func (k *talk) converse(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		call, request, _ := strings.Cut(strings.TrimSpace(line), " ")
		raw, err := base64.StdEncoding.DecodeString(request)
		if err != nil {
			t.Fatal(err)
		}
		k.say(t, call, raw)
	}
	last := &pb.CheckInRequest{Generation: k.generation}
	for name, digest := range maps.All(k.digests) {
		last.Sections = append(last.Sections, &pb.SectionDigest{Name: name, Digest: digest})
	}
	resp, err := k.agents.CheckIn(t.Context(), last)
	if err != nil || len(resp.GetWanted()) > 0 || resp.GetGeneration() != k.generation {
		t.Errorf("after all reports the collector still wants %v, generation %d of %d, %v", resp.GetWanted(), resp.GetGeneration(), k.generation, err)
	}
	err = k.conn.Invoke(t.Context(), "/rollcall.v1.AgentService/Transmogrify", new(emptypb.Empty), new(emptypb.Empty))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a call that is not known yet: %v; agents fall back on %v", err, codes.Unimplemented)
	}
}

// filed checks the asset that came of it.
func (k *talk) filed(t *testing.T, name string, known map[string]bool) {
	t.Helper()
	code, answer := k.answer(t, "GET", "/v1/assets?page_size=100", "")
	var list struct {
		Assets []struct {
			ID            string
			Os            struct{ Build string }
			SoftwareCount int `json:"software_count"`
		}
	}
	if err := json.Unmarshal(answer, &list); err != nil || code != 200 {
		t.Fatal(code, err)
	}
	fresh := 0
	for _, a := range list.Assets {
		if a.Os.Build != "3" || a.SoftwareCount != 15 {
			t.Errorf("%s: os.build %q and %d titles, want 3 and 15", name, a.Os.Build, a.SoftwareCount)
		}
		if !known[a.ID] {
			fresh++
		}
		known[a.ID] = true
	}
	// The newer agent has the hardware of the older one: it is the same asset.
	if want := map[bool]int{false: 1, true: 0}[k.newer]; fresh != want {
		t.Errorf("%s: %d new assets, want %d", name, fresh, want)
	}
}
