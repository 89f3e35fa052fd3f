package report

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func hashOf(spki []byte) string { return fmt.Sprintf("%x", sha256.Sum256(spki)) }

// called runs a call between the failures that a test asks for.
func (c *collector) called(method string, fn func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before != nil {
		if err := c.before(method); err != nil {
			return err
		}
	}
	err := fn()
	if err == nil && c.after != nil {
		err = c.after(method)
	}
	return err
}

// caller finds the agent of a client certificate.
func (c *collector) caller(ctx context.Context) (string, *enrolled, error) {
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", nil, grpcstatus.Error(codes.Unauthenticated, "a client certificate is needed")
	}
	c.resumed = append(c.resumed, info.State.DidResume)
	leaf := info.State.PeerCertificates[0]
	e := c.byID[leaf.Subject.CommonName]
	if e == nil || e.keys[len(e.keys)-1] != hashOf(leaf.RawSubjectPublicKeyInfo) && (len(e.keys) < 2 || e.keys[len(e.keys)-2] != hashOf(leaf.RawSubjectPublicKeyInfo)) {
		return "", nil, grpcstatus.Error(codes.Unauthenticated, "unknown agent")
	}
	if e.revoked {
		return "", nil, grpcstatus.Error(codes.PermissionDenied, "agent is revoked")
	}
	return leaf.Subject.CommonName, e, nil
}

func (c *collector) csr(der []byte) (*ecdsa.PublicKey, string, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, "", grpcstatus.Error(codes.InvalidArgument, err.Error())
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, "", grpcstatus.Error(codes.InvalidArgument, "not P-256")
	}
	return key, hashOf(csr.RawSubjectPublicKeyInfo), nil
}

func (c *collector) issue(id string, key *ecdsa.PublicKey) ([]byte, error) {
	return c.agents.sign(&x509.Certificate{Subject: pkix.Name{CommonName: id}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: c.now().Add(c.life)}, key)
}

func (c *collector) Enroll(_ context.Context, r *pb.EnrollRequest) (resp *pb.EnrollResponse, err error) {
	err = c.called("Enroll", func() error {
		key, hash, err := c.csr(r.GetCsr())
		if err != nil {
			return err
		}
		used, ok := c.tokens[r.GetToken()]
		if !ok || used != "" && used != hash {
			return grpcstatus.Error(codes.PermissionDenied, "the token is unknown or used by another key")
		}
		if len(r.GetHardwareHash()) != 32 || r.GetHostname() == "" || r.GetAgentVersion() == "" || r.GetPlatform() == "" {
			return grpcstatus.Error(codes.InvalidArgument, "incomplete")
		}
		c.tokens[r.GetToken()] = hash
		id := "agent-" + hash[:8]
		if c.byID[id] == nil {
			c.byID[id] = &enrolled{keys: []string{hash}, hardware: r.GetHardwareHash()}
		}
		leaf, err := c.issue(id, key)
		resp = &pb.EnrollResponse{AgentId: id, CertificateChain: [][]byte{leaf}, CaBundle: [][]byte{c.ca.cert.Raw}, RenewalSequence: 1}
		return err
	})
	return resp, err
}

func (c *collector) Renew(ctx context.Context, r *pb.RenewRequest) (resp *pb.RenewResponse, err error) {
	err = c.called("Renew", func() error {
		id, e, err := c.caller(ctx)
		if err != nil {
			return err
		}
		key, hash, err := c.csr(r.GetCsr())
		if err != nil {
			return err
		}
		repeated := e.keys[len(e.keys)-1] == hash
		if sequence := int64(len(e.keys)); !bytes.Equal(e.hardware, r.GetHardwareHash()) || r.GetRenewalSequence() != sequence && (!repeated || r.GetRenewalSequence() != sequence-1) {
			return grpcstatus.Error(codes.FailedPrecondition, "a copy")
		}
		if !repeated {
			e.keys = append(e.keys, hash)
		}
		leaf, err := c.issue(id, key)
		resp = &pb.RenewResponse{CertificateChain: [][]byte{leaf}, CaBundle: [][]byte{c.ca.cert.Raw}, RenewalSequence: int64(len(e.keys))}
		return err
	})
	return resp, err
}

func (c *collector) CheckIn(ctx context.Context, r *pb.CheckInRequest) (resp *pb.CheckInResponse, err error) {
	err = c.called("CheckIn", func() error {
		c.checkIns++
		_, e, err := c.caller(ctx)
		if err != nil {
			return err
		}
		if !r.GetSentAt().IsValid() || r.GetAgentVersion() == "" || r.GetBootId() == "" {
			return grpcstatus.Error(codes.InvalidArgument, "incomplete")
		}
		resp = proto.CloneOf(c.answer)
		resp.Generation, resp.ServerTime = e.generation, timestamppb.Now()
		for _, d := range r.GetSections() {
			if !section.Known(d.GetName()) || len(d.GetDigest()) != 32 {
				return grpcstatus.Error(codes.InvalidArgument, "no such section")
			}
			if r.GetGeneration() != e.generation || !bytes.Equal(d.GetDigest(), e.digests[d.GetName()]) {
				resp.Wanted = append(resp.Wanted, d.GetName())
			}
		}
		return nil
	})
	return resp, err
}

func (c *collector) Report(stream pb.AgentService_ReportServer) error {
	var header *pb.ReportHeader
	var data []byte
	var sizes []int
	for first := true; ; first = false {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first == (m.GetHeader() == nil) {
			return grpcstatus.Error(codes.InvalidArgument, "the header is in the first message only")
		}
		if first {
			header = m.GetHeader()
		}
		sizes = append(sizes, proto.Size(m))
		data = append(data, m.GetData()...)
	}
	resp, err := c.file(stream.Context(), "Report", header, data, sizes)
	if err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}

func (c *collector) ReportSmall(ctx context.Context, m *pb.ReportRequest) (*pb.ReportResponse, error) {
	if c.old {
		return c.UnimplementedAgentServiceServer.ReportSmall(ctx, m)
	}
	return c.file(ctx, "Report", m.GetHeader(), m.GetData(), []int{proto.Size(m)})
}

func (c *collector) file(ctx context.Context, method string, header *pb.ReportHeader, data []byte, sizes []int) (resp *pb.ReportResponse, err error) {
	err = c.called(method, func() error {
		_, e, err := c.caller(ctx)
		if err != nil {
			return err
		}
		c.messages, c.reports = sizes, append(c.reports, header)
		if header.GetBaseGeneration() != 0 && header.GetBaseGeneration() != e.generation || c.sendAll > 0 {
			c.sendAll--
			resp = &pb.ReportResponse{SendAll: true}
			return nil
		}
		if err := e.take(c.dec, header, data); err != nil {
			return grpcstatus.Error(codes.InvalidArgument, err.Error())
		}
		resp = &pb.ReportResponse{Generation: e.generation, AssetId: "asset"}
		return nil
	})
	return resp, err
}

// take files a report, checking everything it announces.
func (e *enrolled) take(dec *zstd.Decoder, h *pb.ReportHeader, data []byte) error {
	digests, device, states := map[string][]byte{}, new(pb.Device), map[string]string{}
	if h.GetBaseGeneration() != 0 {
		for k, v := range e.digests {
			digests[k] = v
		}
		device = proto.CloneOf(e.device)
	}
	for k, v := range e.states {
		states[k] = v
	}
	for _, s := range h.GetSections() {
		states[s.GetName()] = s.GetState()
		if s.GetState() == section.Failed || s.GetState() == section.Skipped {
			if s.GetPayloadBytes() != 0 || len(s.GetDigest()) != 0 {
				return fmt.Errorf("section %s is %s and has a payload", s.GetName(), s.GetState())
			}
			continue
		}
		if int64(len(data)) < s.GetPayloadBytes() {
			return errors.New("too short")
		}
		encoded, err := dec.DecodeAll(data[:s.GetPayloadBytes()], nil)
		data = data[s.GetPayloadBytes():]
		if err != nil || int64(len(encoded)) != s.GetDecodedBytes() {
			return fmt.Errorf("section %s: %d bytes, %w", s.GetName(), len(encoded), err)
		}
		if s.GetDelta() {
			if !bytes.Equal(s.GetBaseDigest(), digests[s.GetName()]) {
				return errors.New("the delta builds on another digest")
			}
			if encoded, err = apply(device, encoded); err != nil {
				return err
			}
		}
		part := new(pb.Device)
		if err := proto.Unmarshal(encoded, part); err != nil {
			return err
		}
		if got, err := section.Digest(s.GetName(), encoded); err != nil || !bytes.Equal(got, s.GetDigest()) {
			return fmt.Errorf("section %s has another digest than announced, %w", s.GetName(), err)
		}
		section.Replace(device, part, s.GetName())
		digests[s.GetName()] = s.GetDigest()
	}
	if len(data) != 0 {
		return errors.New("more data than announced")
	}
	e.digests, e.device, e.states, e.problems = digests, device, states, h.GetProblems()
	e.generation++
	return nil
}

// apply returns the encoded software section after a delta.
func apply(device *pb.Device, encoded []byte) ([]byte, error) {
	delta := new(pb.SoftwareDelta)
	if err := proto.Unmarshal(encoded, delta); err != nil {
		return nil, err
	}
	rows := append([]*pb.Software(nil), device.GetSoftware()...)
	for _, r := range delta.GetRemoved() {
		found := false
		for i, have := range rows {
			if found = proto.Equal(have, r); found {
				rows = append(rows[:i:i], rows[i+1:]...)
				break
			}
		}
		if !found {
			return nil, fmt.Errorf("the delta removes %v, which is not held", r)
		}
	}
	return section.Encode(&pb.Device{Software: append(rows, delta.GetAdded()...)}, section.Software)
}
