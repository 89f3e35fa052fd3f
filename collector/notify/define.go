package notify

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// ErrInvalid is wrapped by errors that tell what is wrong with a subscription.
var ErrInvalid = errors.New("the subscription cannot be like this")

// Kinds of receivers.
const (
	webhook = "webhook"
	slack   = "slack"
	teams   = "teams"
	email   = "email"
)

var receivers = []string{webhook, slack, teams, email}

// changeKinds are those of an AssetInterest; the last is told only to who asks.
var changeKinds = []string{catalog.Created, catalog.Changed, catalog.Withdrawn, catalog.United, watch.Split, catalog.Software}

var findingEvents = []string{compliance.Opened, compliance.ResolvedByData}

// Bounds of a definition.
const (
	maxListed = 100
	maxTo     = 50
	maxText   = 200
	maxCA     = 64 << 10
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// subscription is a definition ready for use.
type subscription struct {
	id, kind string
	findings *findingInterest
	assets   *assetInterest
	pace     pace
	sender   channel.Sender
	close    func()
}

// findingInterest is which findings are told; what is nil is no condition.
type findingInterest struct {
	events, severities, rules []string
	filter                    *expr.Program
}

// assetInterest is which changes of assets are told.
type assetInterest struct {
	kinds, fields []string
	filter        *expr.Program
}

// compile checks a definition and makes it ready. Its receiver has the secrets;
// was is a key of a webhook that was replaced, if one was.
func (n *Notifier) compile(d *adminpb.Subscription, was former) (s *subscription, err error) {
	s = &subscription{id: d.GetId(), kind: d.GetReceiver().GetKind(), close: func() {}}
	switch {
	case !idForm.MatchString(d.GetId()):
		err = fmt.Errorf("id %.70q: want letters, digits, points, hyphens and underscores, at most 63", d.GetId())
	case d.GetFindings() == nil && d.GetAssets() == nil:
		err = errors.New("it asks for nothing: give findings, assets, or both ({} means all of them)")
	}
	if err == nil {
		s.findings, err = n.findingInterest(d.GetFindings())
	}
	if err == nil {
		s.assets, err = n.assetInterest(d.GetAssets())
	}
	if err == nil {
		s.pace, err = newPace(d.GetPace(), s.kind == webhook)
	}
	if err == nil {
		err = n.receiver(s, d.GetReceiver(), was)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s, nil
}

// among tells what of a list is none of some words.
func among(field string, list, words []string) error {
	if len(list) > maxListed {
		return fmt.Errorf("%s has %d entries: %d are the most", field, len(list), maxListed)
	}
	for _, x := range list {
		if !slices.Contains(words, x) {
			return fmt.Errorf("%s: %.50q is none of: %s", field, x, strings.Join(words, ", "))
		}
	}
	return nil
}

func (n *Notifier) findingInterest(d *adminpb.FindingInterest) (*findingInterest, error) {
	if d == nil {
		return nil, nil
	}
	severities := make([]string, len(policy.Severities))
	for i, s := range policy.Severities {
		severities[i] = string(s)
	}
	if err := errors.Join(among("findings.events", d.GetEvents(), findingEvents), among("findings.severities", d.GetSeverities(), severities)); err != nil {
		return nil, err
	}
	if len(d.GetRules()) > maxListed {
		return nil, fmt.Errorf("findings.rules has %d entries: %d are the most", len(d.GetRules()), maxListed)
	}
	for _, r := range d.GetRules() {
		// A rule may come later, with the site's own; an empty name never does.
		if r == "" || len(r) > maxText {
			return nil, fmt.Errorf("findings.rules: %.50q is no id of a rule: list them with GET /v1/rules", r)
		}
	}
	f := &findingInterest{events: d.GetEvents(), severities: d.GetSeverities(), rules: d.GetRules()}
	if len(f.events) == 0 {
		f.events = []string{compliance.Opened}
	}
	var err error
	f.filter, err = condition(n.findingEnv, "findings.filter", d.GetFilter())
	return f, err
}

func (n *Notifier) assetInterest(d *adminpb.AssetInterest) (*assetInterest, error) {
	if d == nil {
		return nil, nil
	}
	if err := among("assets.kinds", d.GetKinds(), changeKinds); err != nil {
		return nil, err
	}
	a := &assetInterest{kinds: d.GetKinds(), fields: d.GetFields()}
	switch {
	case len(a.fields) > maxListed:
		return nil, fmt.Errorf("assets.fields has %d entries: %d are the most", len(a.fields), maxListed)
	case len(a.fields) > 0 && len(a.kinds) > 0 && !slices.Equal(a.kinds, []string{catalog.Changed}):
		return nil, errors.New("assets.fields are of assets that changed: leave assets.kinds out, or make another subscription for the other kinds")
	case len(a.fields) > 0:
		a.kinds = []string{catalog.Changed}
	case len(a.kinds) == 0:
		a.kinds = changeKinds[:len(changeKinds)-1]
	}
	for _, path := range a.fields {
		root, _, _ := strings.Cut(path, ".")
		if !n.assetEnv.KnownField(path) && root != "labels" {
			return nil, fmt.Errorf("assets.fields: there is no field %.60q%s", path, n.assetEnv.Guess(path))
		}
	}
	var err error
	a.filter, err = condition(n.assetEnv, "assets.filter", d.GetFilter())
	return a, err
}

// condition compiles a filter, nil for none.
func condition(env *expr.Env, field, source string) (*expr.Program, error) {
	if strings.TrimSpace(source) == "" {
		return nil, nil
	}
	p, err := env.Compile(source, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	for _, f := range p.Fields() {
		if root, _, _ := strings.Cut(f, "."); root == "record" || root == "kinds" {
			return nil, fmt.Errorf("%s: %s is known to rules only: make a rule of it, and subscribe to its findings", field, root)
		}
	}
	return p, nil
}

// receiver checks where messages go and makes the sender.
func (n *Notifier) receiver(s *subscription, d *adminpb.Receiver, was former) error {
	if err := among("receiver.kind", []string{d.GetKind()}, receivers); err != nil {
		return err
	}
	mail := d.GetKind() == email
	switch {
	case mail && (d.GetUrl() != "" || d.GetProxy() != "" || d.GetCaPem() != "" || d.GetAllowPrivate()):
		return errors.New("receiver: url, proxy, ca_pem and allow_private are not of email, which goes through the mail server of the collector's configuration")
	case !mail && d.GetUrl() == "":
		return errors.New("receiver.url is missing")
	case !mail && len(d.GetTo()) > 0:
		return errors.New("receiver.to is of email only")
	case d.GetKind() != webhook && d.GetSecret() != "":
		return errors.New("receiver.secret is of webhooks only")
	case len(d.GetCaPem()) > maxCA || len(d.GetProxy()) > maxText || len(d.GetTo()) > maxTo:
		return fmt.Errorf("receiver: ca_pem has at most %d bytes, proxy %d, and to %d addresses", maxCA, maxText, maxTo)
	}
	err := n.sender(s, d, was)
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	return nil
}

// closer is a sender that keeps connections.
type closer interface {
	channel.Sender
	Close()
}

func (n *Notifier) sender(s *subscription, d *adminpb.Receiver, was former) error {
	reach := channel.Reach{CAPEM: d.GetCaPem(), Proxy: d.GetProxy(), AllowPrivate: d.GetAllowPrivate()}
	var c closer
	var err error
	switch d.GetKind() {
	case webhook:
		keys := []channel.Key{{Secret: d.GetSecret()}}
		if was.secret != "" {
			keys = append(keys, channel.Key{Secret: was.secret, Until: was.until})
		}
		c, err = channel.NewWebhook(d.GetUrl(), keys, reach, n.o.Now)
	case slack:
		c, err = channel.NewSlack(d.GetUrl(), reach, n.o.Now)
	case teams:
		c, err = channel.NewTeams(d.GetUrl(), reach, n.o.Now)
	default:
		if n.o.Mail == nil {
			return errors.New("there is no mail server: name one in the collector's configuration, under notifications.mail")
		}
		s.sender, err = channel.NewMail(*n.o.Mail, d.GetTo())
		return err
	}
	if err != nil {
		return err
	}
	s.sender, s.close = c, c.Close
	return nil
}

// shown is a definition without its secrets.
func shown(d *adminpb.Subscription) *adminpb.Subscription {
	d = proto.CloneOf(d)
	if r := d.GetReceiver(); r != nil {
		r.Url, r.Secret = shownURL(r.GetKind(), r.GetUrl()), ""
	}
	return d
}

// shownURL is an address without what makes it a secret.
func shownURL(kind, address string) string {
	u, err := url.Parse(address)
	if address == "" || err != nil {
		return ""
	}
	if kind == webhook {
		return u.Scheme + "://" + u.Host + u.Path
	}
	return u.Scheme + "://" + u.Host + "/..."
}

// summary says in the audit log what a subscription is, without its secrets.
func summary(d *adminpb.Subscription) string {
	r := d.GetReceiver()
	text := r.GetKind() + " " + shownURL(r.GetKind(), r.GetUrl()) + strings.Join(r.GetTo(), " ")
	if f := d.GetFindings(); f != nil {
		text += fmt.Sprintf("; findings %v %v %v %s", f.GetEvents(), f.GetSeverities(), f.GetRules(), f.GetFilter())
	}
	if a := d.GetAssets(); a != nil {
		text += fmt.Sprintf("; assets %v %v %s", a.GetKinds(), a.GetFields(), a.GetFilter())
	}
	return strings.ToValidUTF8(text[:min(len(text), 2<<10)], "")
}

// pace is when messages go out.
type pace struct {
	window  time.Duration
	daily   time.Time
	zone    *time.Location
	perHour int
	// machine says that a program reads them, which no number of them annoys.
	machine bool
}

// Bounds of a pace.
const (
	minWindow      = 10 * time.Second
	maxWindow      = 24 * time.Hour
	defaultPerHour = 12
	webhookPerHour = 600
	maxPerHour     = 3600
)

func newPace(d *adminpb.Pace, machine bool) (p pace, err error) {
	p = pace{window: d.GetWindow().AsDuration(), perHour: int(d.GetPerHour()), machine: machine, zone: time.UTC}
	switch {
	case d.GetWindow() != nil && (d.GetWindow().CheckValid() != nil || p.window < minWindow || p.window > maxWindow):
		return p, fmt.Errorf("pace.window: want %v to %v, or none for at once", minWindow, maxWindow)
	case d.GetWindow() != nil && d.GetDaily() != "":
		return p, errors.New("pace: window and daily do not go together")
	case d.GetDaily() == "" && d.GetTimeZone() != "":
		return p, errors.New("pace.time_zone is of daily only")
	case p.perHour < 0 || p.perHour > maxPerHour:
		return p, fmt.Errorf("pace.per_hour is %d: want 1 to %d", p.perHour, maxPerHour)
	}
	if p.perHour == 0 {
		p.perHour = map[bool]int{true: webhookPerHour, false: defaultPerHour}[machine]
	}
	if d.GetDaily() == "" {
		return p, nil
	}
	if p.daily, err = time.Parse("15:04", d.GetDaily()); err != nil {
		return p, fmt.Errorf("pace.daily: %.20q is no time like 08:00", d.GetDaily())
	}
	if d.GetTimeZone() != "" && d.GetTimeZone() != "Local" {
		if p.zone, err = time.LoadLocation(d.GetTimeZone()); err != nil {
			return p, fmt.Errorf("pace.time_zone: %.60q is not known: want a name like Europe/Berlin", d.GetTimeZone())
		}
	}
	return p, nil
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
