// Package policy judges assets by rules: conditions with a severity, a
// remedy and examples that prove them.
//
// A rule passes, fails or is unknown; what no source states is unknown and not
// a failure. Everything here is a function of its arguments, the time among
// them, and a verdict tells when time alone makes it another, so that nobody
// needs to look at every asset every night.
package policy

import (
	"fmt"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// Severity is how much a failure matters.
type Severity string

// The severities, the gravest first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info"
)

// Severities lists the severities, the gravest first.
var Severities = []Severity{Critical, High, Medium, Low, Info}

// Result is what a rule says of an asset.
type Result string

// The results. NotApplicable is said of an asset that the rule is not about.
const (
	Pass          Result = "pass"
	Fail          Result = "fail"
	Unknown       Result = "unknown"
	NotApplicable Result = "not_applicable"
)

// Rule is one thing that is demanded of assets.
type Rule struct {
	// ID names the rule for ever: lower-case words with hyphens between them.
	ID string
	// Version is counted up by whoever changes what the rule demands.
	Version     int
	Title       string
	Description string
	Severity    Severity
	// Applies is the condition on assets that the rule is about; empty for all.
	Applies string
	// Needs are the fields that must be stated for there to be an answer.
	Needs []Need
	// Require is the condition that is demanded.
	Require string
	// Detail yields the texts that tell what makes an asset fail; may be empty.
	Detail string
	// Params are the values that a site may change.
	Params      expr.Params
	Remediation string
	// References map a framework, as in Frameworks, to its controls.
	References map[string][]string
	Examples   []Example
	// File and Line tell where the rule is written.
	File string
	Line int
	// Digest is of all that decides on the verdict, in hexadecimal: it changes
	// when Applies, Needs, Require, Detail, Params or Severity do.
	Digest string
	// Enabled is false for a rule that the site's settings turn off.
	Enabled bool

	at       map[string]position
	compiled compiled
	// original is the rule before settings changed its parameters.
	original *Rule
}

// Need is a field that must be stated, by sources of certain kinds if any are
// named: "security from agent".
type Need struct {
	Field string
	Kinds []string
}

// Example is an asset with the result that the rule must give.
type Example struct {
	Name string
	Want Result
	// Input is what the rule is evaluated on.
	Input expr.Input
	// Params take the place of some of the rule's.
	Params expr.Params
	// Detail is what the failure must tell; not checked if empty.
	Detail []string
	// Due is when the result changes; not checked if zero.
	Due  time.Time
	Line int
}

// Frameworks maps the keys of references to what they mean.
var Frameworks = map[string]string{
	"cis":              "CIS Critical Security Controls v8.1, safeguard",
	"nist":             "NIST SP 800-53 Rev. 5, control",
	"iso27001":         "ISO/IEC 27001:2022, Annex A control",
	"cyber_essentials": "Cyber Essentials (UK NCSC), technical control theme",
}

// Problem is a mistake in a file of rules: what is wrong, where, what to do.
type Problem struct {
	File         string
	Line, Column int
	// Rule is the id of the rule that is left out because of it; empty if the
	// mistake lies outside of a rule.
	Rule    string
	Message string
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Rule == "" {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: rule %s: %s", p.File, p.Line, p.Column, p.Rule, p.Message)
}

// Verdict is what a rule says of one asset at one time.
type Verdict struct {
	Rule   *Rule
	Result Result
	// Missing are the fields that nobody states and that an answer needs.
	Missing []string
	// Reason tells what else keeps a rule from an answer.
	Reason string
	// Detail tells what makes the asset fail.
	Detail []string
	// Due is when the result or the detail changes if nothing but the time
	// does; zero if it does not.
	Due time.Time
}
