package expr

import (
	"iter"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Input is what an expression is evaluated on.
type Input struct {
	Asset *pb.Asset
	// Software is nil where nobody states the software.
	Software Software
	// Record is nil where the caller looked nothing up; all of it is unknown then.
	Record *Record
	// Kinds are the kinds of sources that the collector hears from; nil is unknown.
	Kinds []string
	// Finding is what a condition of NewForFindings looks at; nil is unknown.
	Finding *Finding
	// Now is the time of the evaluation.
	Now time.Time
}

// Software is the software of one asset. What it returns is only read.
type Software interface {
	// Named returns the rows of a name, whatever the case of its letters; * in it
	// stands for any text. What it returns may lack the device's own times.
	Named(name string) iter.Seq[*pb.Software]
	// All returns every row.
	All() iter.Seq[*pb.Software]
}

// Rows is the software of an asset as a list.
type Rows []*pb.Software

// Named returns the rows of a name.
func (r Rows) Named(name string) iter.Seq[*pb.Software] {
	pattern := ParseName(name)
	return func(yield func(*pb.Software) bool) {
		for _, s := range r {
			if pattern.Fits(strings.ToLower(s.GetName())) && !yield(s) {
				return
			}
		}
	}
}

// All returns every row.
func (r Rows) All() iter.Seq[*pb.Software] {
	return func(yield func(*pb.Software) bool) {
		for _, s := range r {
			if !yield(s) {
				return
			}
		}
	}
}

// Record is what the collector knows of an asset that no source states. What is
// zero or nil is unknown.
type Record struct {
	// LatestVersion is the newest version of the asset's release of its OS, and
	// LatestAt when that was released.
	LatestVersion string
	LatestAt      time.Time
	// DiskFullAt is when the system volume is full if it goes on as it does;
	// Never if it does not fill up.
	DiskFullAt time.Time
	// CertificateEnd is when the certificate of the asset's agent ends.
	CertificateEnd time.Time
	// ClockSkew is how far the device's clock is ahead.
	ClockSkew *time.Duration
	// IdentityIssues say what is wrong with the asset's identity: collision,
	// quarantined, possible_duplicate. Empty but not nil: nothing.
	IdentityIssues []string
	// Lifetimes are the titles whose end of life is known. Empty but not nil: none.
	Lifetimes []*Lifetime
	// FindLifetimes returns them where they are only looked up once a condition
	// asks, since that takes going through all titles; nil for unknown.
	FindLifetimes func() []*Lifetime
	// Vulnerabilities are the packages that advisories are said of, each once for
	// each severity. Empty but not nil: none; nil also where no advisories are held
	// for the asset's system.
	Vulnerabilities []*Vulnerability
	// FindVulnerabilities returns them where they are only looked up once a
	// condition asks; nil for unknown.
	FindVulnerabilities func() []*Vulnerability
}

// Never is a time that does not come.
var Never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Lifetime is one installed title whose end of life is known.
type Lifetime struct {
	Name, Version string
	// Product and Cycle are those of the end-of-life data.
	Product, Cycle string
	// End is the first moment at which the cycle gets no fixes; zero if that is
	// not known.
	End time.Time
}

// Vulnerability is one installed package with what advisories of one severity say
// of it: either of those that a later version fixes, or of those that none does.
type Vulnerability struct {
	// Package and Version are what was compared: of many distributions the source
	// package's.
	Package, Version string
	// Fixed is the version that all of them are fixed in, empty where there is none.
	Fixed string
	// FixedAt is when the first of them was published; zero if that is not told or
	// nothing is fixed.
	FixedAt time.Time
	// Severity is critical, high, medium or low, empty for one that nobody tells.
	Severity string
	// Exploited tells that one of them is known to be exploited, and Due the day
	// until which that must be fixed by the word of who says so; zero for none.
	Exploited bool
	Due       time.Time
	// Advisories are their ids, the gravest first, a few of many.
	Advisories []string
}

// activation gives CEL the variables of one evaluation.
type activation struct {
	in          *Input
	clock       clock
	constraints map[string]constraint
}

var (
	unknownSoftware = types.NewUnknown(1, types.NewAttributeTrail("software"))
	unknownRecord   = types.NewUnknown(2, types.NewAttributeTrail("record"))
	unknownKinds    = types.NewUnknown(3, types.NewAttributeTrail("kinds"))
	unknownAsset    = types.NewUnknown(4, types.NewAttributeTrail("asset"))
	// firstField is the first id that fields may use.
	firstField = int64(16)
)

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "asset":
		if a.in.Asset == nil {
			return unknownAsset, true
		}
		return a.in.Asset, true
	case "now":
		return &a.clock, true
	case titlesVariable:
		return (*titles)(a), true
	case "software":
		if a.in.Software == nil {
			return unknownSoftware, true
		}
		return newSoftwareList(a.in.Software), true
	case "record":
		if a.in.Record == nil {
			return unknownRecord, true
		}
		return a.in.Record, true
	case "finding":
		if a.in.Finding == nil {
			return unknownFinding, true
		}
		return a.in.Finding, true
	case "kinds":
		if a.in.Kinds == nil {
			return unknownKinds, true
		}
		return a.in.Kinds, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }
