package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/exposure"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// listedPackages is how many packages a list names of one advisory.
	listedPackages = 10
	// shownAssets is how many assets are named of one advisory, and shownPackages
	// how many packages.
	shownAssets   = 1000
	shownPackages = 1000
	unrated       = "unknown"
)

// ListVulnerabilities tells which advisories are said of packages that assets have.
func (s *Service) ListVulnerabilities(ctx context.Context, r *adminpb.ListVulnerabilitiesRequest) (*adminpb.ListVulnerabilitiesResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultFindingsPage, maxFindingsPage)
	if err != nil {
		return nil, err
	}
	if want := r.GetSeverity(); want != "" && want != unrated && !slices.Contains(advisory.Severities, want) {
		return nil, status.Errorf(codes.InvalidArgument, "severity %.50q is none of: critical, high, medium, low, unknown", want)
	}
	if len(r.GetSearch()) > maxID {
		return nil, status.Errorf(codes.InvalidArgument, "search has %d bytes, %d are the most: write an id, an alias or the name of a package", len(r.GetSearch()), maxID)
	}
	list := fmt.Sprintf("vulnerabilities %q %v %v %q", r.GetSeverity(), r.GetKnownExploited(), r.GetFixable(), r.GetSearch())
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if s.Exposure == nil {
		return new(adminpb.ListVulnerabilitiesResponse), nil
	}
	survey, err := s.Exposure.Survey(ctx, s.fleet(ctx).Part)
	if err != nil {
		return nil, s.answer("list the vulnerabilities", err)
	}
	out := &adminpb.ListVulnerabilitiesResponse{AsOf: timestamppb.New(survey.At), CoveredAssets: int32(survey.Covered), NotCoveredAssets: int32(survey.NotCovered)}
	last, bytes := "", 0
	for _, f := range survey.Found {
		if !asked(f, r) {
			continue
		}
		out.TotalSize++
		key := placeOf(f)
		if key <= after || out.GetNextPageToken() != "" {
			continue
		}
		if len(out.Vulnerabilities) == limit || bytes > maxPageBytes {
			out.NextPageToken = nextPage(list, last)
			continue
		}
		v := vulnerabilityOf(f, listedPackages)
		bytes += proto.Size(v)
		out.Vulnerabilities, last = append(out.Vulnerabilities, v), key
	}
	return out, nil
}

// placeOf is where an advisory stands in a list, as text that sorts like it.
func placeOf(f *exposure.Found) string {
	exploited := 1
	if f.Exploited != nil {
		exploited = 0
	}
	return fmt.Sprintf("%d %d %010d %s", exploited, advisory.Rank(f.Advisory.Severity), 1<<31-f.Assets, f.Advisory.ID)
}

// asked tells whether an advisory is asked for.
func asked(f *exposure.Found, r *adminpb.ListVulnerabilitiesRequest) bool {
	a := f.Advisory
	if want := r.GetSeverity(); want != "" && cmp.Or(a.Severity, unrated) != want {
		return false
	}
	if r.GetKnownExploited() && f.Exploited == nil {
		return false
	}
	if r.GetFixable() && !slices.ContainsFunc(f.Packages, func(p *exposure.Package) bool { return p.Fixed != "" }) {
		return false
	}
	want := r.GetSearch()
	return want == "" || strings.EqualFold(a.ID, want) || slices.ContainsFunc(a.Aliases, func(id string) bool { return strings.EqualFold(id, want) }) ||
		slices.ContainsFunc(f.Packages, func(p *exposure.Package) bool { return strings.EqualFold(p.Name, want) })
}

// vulnerabilityOf tells what was found of an advisory.
func vulnerabilityOf(f *exposure.Found, packages int) *adminpb.Vulnerability {
	v := saidBy(f.Advisory, f.Exploited)
	v.Assets, v.PackageCount = proto.Int32(int32(f.Assets)), int32(len(f.Packages))
	for _, p := range f.Packages[:min(len(f.Packages), packages)] {
		v.Packages = append(v.Packages, &adminpb.VulnerablePackage{Ecosystem: p.Ecosystem, Name: p.Name, Installed: p.Installed, Fixed: p.Fixed, Assets: proto.Int32(int32(p.Assets))})
	}
	return v
}

// saidBy tells what an advisory says, and what the catalog of what is exploited does.
func saidBy(a *advisory.Advisory, e *advisory.Exploited) *adminpb.Vulnerability {
	v := &adminpb.Vulnerability{Id: a.ID, Aliases: a.Aliases, Summary: a.Summary, Severity: a.Severity, Published: timeOf(a.Published)}
	if e != nil {
		v.KnownExploited, v.ExploitedSince, v.Due, v.Ransomware = true, e.Added, e.Due, e.Ransomware
	}
	return v
}

func timeOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// GetVulnerability tells of one which packages and which assets it is about.
func (s *Service) GetVulnerability(ctx context.Context, r *adminpb.GetVulnerabilityRequest) (*adminpb.GetVulnerabilityResponse, error) {
	nothing := status.Errorf(codes.NotFound, "no asset has a package that an advisory %.100q is said of: list those that there are with GET /v1/vulnerabilities", r.GetId())
	if s.Exposure == nil || len(r.GetId()) > maxID {
		return nil, nothing
	}
	fleet := s.fleet(ctx)
	survey, err := s.Exposure.Survey(ctx, fleet.Part)
	if err != nil {
		return nil, s.answer("look the vulnerability up", err)
	}
	f := survey.Find(r.GetId())
	if f == nil {
		return nil, nothing
	}
	ids := survey.IDs(f)
	ids = ids[:min(len(ids), shownAssets)]
	names, err := fleet.Texts("name", ids)
	if err != nil {
		return nil, s.answer("name the assets", err)
	}
	out := &adminpb.GetVulnerabilityResponse{Vulnerability: vulnerabilityOf(f, shownPackages)}
	for i, id := range ids {
		out.Assets = append(out.Assets, &adminpb.VulnerableAsset{Id: id, Name: names[i]})
	}
	return out, nil
}

// ListAssetVulnerabilities tells which advisories are said of an asset's packages.
func (s *Service) ListAssetVulnerabilities(ctx context.Context, r *adminpb.ListAssetVulnerabilitiesRequest) (*adminpb.ListAssetVulnerabilitiesResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultFindingsPage, maxFindingsPage)
	if err != nil {
		return nil, err
	}
	list := "vulnerabilities of " + r.GetId()
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := new(adminpb.ListAssetVulnerabilitiesResponse)
	var all []*adminpb.Vulnerability
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		a, err := s.fleet(ctx).resolve(tx, r.GetId())
		if err != nil {
			return err
		}
		all, err = s.weaknesses(ctx, tx, a, out)
		return err
	})
	if err != nil {
		return nil, s.answer("list the asset's vulnerabilities", err)
	}
	out.TotalSize = int32(len(all))
	bytes := 0
	for i, v := range all {
		if key := placeOnAsset(v); key > after {
			if len(out.Vulnerabilities) == limit || bytes > maxPageBytes {
				out.NextPageToken = nextPage(list, placeOnAsset(all[i-1]))
				break
			}
			bytes += proto.Size(v)
			out.Vulnerabilities = append(out.Vulnerabilities, v)
		}
	}
	return out, nil
}

// placeOnAsset is where an advisory stands in the list of one asset.
func placeOnAsset(v *adminpb.Vulnerability) string {
	exploited := 1
	if v.GetKnownExploited() {
		exploited = 0
	}
	return fmt.Sprintf("%d %d %s", exploited, advisory.Rank(v.GetSeverity()), v.GetId())
}

// weaknesses returns what advisories say of an asset's packages, in order, and
// tells in out what was compared.
func (s *Service) weaknesses(ctx context.Context, tx *store.Tx, a *pb.Asset, out *adminpb.ListAssetVulnerabilitiesResponse) ([]*adminpb.Vulnerability, error) {
	out.System = advisory.ScopeOf(a.GetOs())
	var set *advisory.Set
	if s.Library != nil {
		set = s.Library.Set()
	}
	from := a.GetProvenance()["software"]
	switch {
	case out.GetSystem() == "":
		out.Reason = "its system is no release of a distribution whose advisories name packages and the order of their versions"
	case !set.Covers(out.GetSystem()):
		out.Reason = "no advisories for " + out.GetSystem() + " were imported"
	case from == nil:
		out.Reason = "no source states its software"
	default:
		ids, _, err := tx.SoftwareTitles(store.Ref{Source: from.GetSource(), ID: from.GetSourceId()})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		out.Covered = true
		return s.matches(ctx, tx, ids, set, out)
	}
	return nil, nil
}

func (s *Service) matches(ctx context.Context, tx *store.Tx, ids []store.TitleID, set *advisory.Set, out *adminpb.ListAssetVulnerabilitiesResponse) ([]*adminpb.Vulnerability, error) {
	var all []*adminpb.Vulnerability
	by := make(map[string]*adminpb.Vulnerability)
	for _, id := range ids {
		title, err := tx.Title(id)
		if err != nil {
			return nil, err
		}
		if !advisory.Packages(out.GetSystem(), title.GetKind()) {
			continue
		}
		out.Compared++
		matches, err := set.Match(out.GetSystem(), title)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		for i := range matches {
			m := &matches[i]
			v := by[m.Advisory.ID]
			if v == nil {
				v = saidBy(m.Advisory, m.Exploited)
				by[m.Advisory.ID], all = v, append(all, v)
			}
			affects(v, m, title.GetName())
		}
	}
	slices.SortFunc(all, func(a, b *adminpb.Vulnerability) int { return cmp.Compare(placeOnAsset(a), placeOnAsset(b)) })
	return all, nil
}

// affects adds that an advisory is said of a title.
func affects(v *adminpb.Vulnerability, m *advisory.Match, title string) {
	i := slices.IndexFunc(v.GetPackages(), func(p *adminpb.VulnerablePackage) bool {
		return p.GetName() == m.Package && p.GetInstalled() == m.Installed && p.GetEcosystem() == m.Ecosystem
	})
	if i < 0 {
		i = len(v.GetPackages())
		v.PackageCount++
		v.Packages = append(v.Packages, &adminpb.VulnerablePackage{Ecosystem: m.Ecosystem, Name: m.Package, Installed: m.Installed, Fixed: m.Fixed})
	}
	if p := v.GetPackages()[i]; !slices.Contains(p.GetTitles(), title) {
		p.Titles = append(p.Titles, title)
	}
}

// GetAdvisoryStatus tells which advisories are held, and how old they are.
func (s *Service) GetAdvisoryStatus(context.Context, *adminpb.GetAdvisoryStatusRequest) (*adminpb.AdvisoryStatus, error) {
	out := new(adminpb.AdvisoryStatus)
	if s.Library == nil {
		return out, nil
	}
	out.Systems = s.Library.Set().Scopes()
	for _, info := range s.Library.Infos() {
		d := &adminpb.AdvisoryData{Name: info.Name, From: shownAddress(info.From), ImportedAt: timeOf(info.ImportedAt), Newest: timeOf(info.Newest), Records: int32(info.Records),
			Advisories: int32(info.Advisories), Packages: int32(info.Entries), Exploited: int32(info.Exploited), Systems: info.Scopes}
		for _, left := range info.Skipped {
			d.Skipped = append(d.Skipped, &adminpb.AdvisorySkipped{Reason: left.Reason, Count: int32(left.Count), Examples: left.Examples})
		}
		out.Data = append(out.Data, d)
	}
	for _, p := range s.Library.Problems() {
		out.Problems = append(out.Problems, &adminpb.AdvisoryProblem{Name: shownAddress(p.Name), Since: timeOf(p.Since), Text: p.Text})
	}
	return out, nil
}

// shownAddress returns a path as it is, and an address without its password.
func shownAddress(from string) string {
	if u, err := url.Parse(from); err == nil && u.User != nil {
		return u.Redacted()
	}
	return from
}
