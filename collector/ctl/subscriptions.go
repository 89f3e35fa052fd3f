package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type subscriptionsCommands struct {
	List        subscriptionsListCommand   `cmd:"" default:"withargs" help:"List who is told what happens, and how that fares."`
	Show        subscriptionsShowCommand   `cmd:"" help:"Show one subscription."`
	Create      subscriptionsCreateCommand `cmd:"" help:"Have a webhook, a channel of Slack or Teams, or people by e-mail told of findings and changes of assets."`
	Test        subscriptionsTestCommand   `cmd:"" help:"Send a message that says that it is a test."`
	Pause       subscriptionsPauseCommand  `cmd:"" help:"Have a subscription wait. What happens meanwhile is told once it goes on."`
	Resume      subscriptionsResumeCommand `cmd:"" help:"Have a subscription go on."`
	Rotate      subscriptionsRotateCommand `cmd:"" name:"rotate-secret" help:"Make a new key for a webhook; the one before signs as well for a while."`
	Delete      subscriptionsDeleteCommand `cmd:"" help:"End a subscription."`
	DeadLetters deadLettersCommand         `cmd:"" help:"List the messages of a subscription that were given up."`
	Retry       retryCommand               `cmd:"" help:"Send messages that were given up again."`
}

type subscriptionsListCommand struct{}

// Run lists the subscriptions.
func (subscriptionsListCommand) Run(s *session) error {
	return fetch(s, "/v1/subscriptions", nil, func(all *adminpb.ListSubscriptionsResponse) {
		if len(all.GetSubscriptions()) == 0 {
			s.note("nobody is told: see rollcall subscriptions create --help")
			return
		}
		s.tableOfSubscriptions(all.GetSubscriptions()...)
	}, "subscriptions")
}

func (s *session) tableOfSubscriptions(all ...*adminpb.Subscription) {
	t := &table{columns: []column{{"SUBSCRIPTION", 12, 0}, {"TELLS", 16, 3}, {"TO", 16, 2}, {"WHEN", 0, 4}, {"STATE", 0, 0}, {"SENT", 0, 5}, {"WAITING", 0, 1}, {"DEAD", 0, 1}, {"ERROR", 20, 1}}}
	for _, x := range all {
		st := x.GetStatus()
		problem := st.GetProblem()
		if problem == "" {
			problem = st.GetError()
		}
		t.add(x.GetId(), tellsWhat(x), toWhom(x.GetReceiver()), paceWords(x.GetPace()), subscriptionState(x), fmt.Sprint(st.GetSent()), fmt.Sprint(st.GetWaiting()),
			fmt.Sprint(st.GetDeadLetters()), problem)
	}
	s.table(t)
}

// tellsWhat says in a few words what a subscription is about.
func tellsWhat(x *adminpb.Subscription) string {
	var parts []string
	if f := x.GetFindings(); f != nil {
		words := append(append([]string{"findings"}, f.GetEvents()...), f.GetSeverities()...)
		parts = append(parts, strings.Join(append(words, f.GetRules()...), " "))
	}
	if a := x.GetAssets(); a != nil {
		parts = append(parts, strings.Join(append(append([]string{"assets"}, a.GetKinds()...), a.GetFields()...), " "))
	}
	return strings.Join(parts, ", ")
}

func toWhom(r *adminpb.Receiver) string {
	return strings.TrimSpace(r.GetKind() + " " + r.GetUrl() + strings.Join(r.GetTo(), ", "))
}

func paceWords(p *adminpb.Pace) string {
	switch {
	case p.GetDaily() != "":
		return strings.TrimSpace(p.GetDaily() + " " + p.GetTimeZone())
	case p.GetWindow() != nil:
		return "within " + p.GetWindow().AsDuration().String()
	}
	return "at once"
}

func subscriptionState(x *adminpb.Subscription) string {
	switch {
	case x.GetPaused():
		return "paused"
	case x.GetStatus().GetProblem() != "":
		return "broken"
	case x.GetStatus().GetFailures() > 0:
		return "failing"
	case x.GetStatus().GetLastSuccess() == nil:
		return "new"
	}
	return "ok"
}

// oneSubscription names a subscription.
type oneSubscription struct {
	ID string `arg:"" name:"subscription" complete:"subscription" help:"Id, as the list has it."`
}

func (o oneSubscription) path() string { return "/v1/subscriptions/" + url.PathEscape(o.ID) }

type subscriptionsShowCommand struct{ oneSubscription }

// Run shows a subscription.
func (cmd subscriptionsShowCommand) Run(s *session) error {
	return s.askSubscription(http.MethodGet, cmd.path(), nil)
}

// askSubscription makes a call that answers with a subscription, and shows it.
func (s *session) askSubscription(method, path string, body any) error {
	return send(s, method, path, body, func(x *adminpb.Subscription) { s.tableOfSubscriptions(x) })
}

type subscriptionsCreateCommand struct {
	ID           string        `arg:"" name:"subscription" complete:"subscription" help:"Id of your choice: letters, digits, points, hyphens, underscores."`
	Webhook      string        `xor:"to" required:"" placeholder:"URL" help:"Address of a program; @FILE takes it from a file, here as with the next two."`
	Slack        string        `xor:"to" required:"" placeholder:"@FILE" help:"Address of an incoming webhook of Slack, which is a secret."`
	Teams        string        `xor:"to" required:"" placeholder:"@FILE" help:"Address of a workflow or an incoming webhook of Teams, which is a secret."`
	Email        []string      `xor:"to" required:"" placeholder:"ADDRESS" help:"Address of e-mail; may be repeated."`
	Findings     []string      `placeholder:"opened,resolved" values:"opened,resolved" help:"Tell of findings that open, or are resolved. This is what is told where nothing else is asked for."`
	Severity     []string      `placeholder:"critical,high" values:"critical,high,medium,low,info" help:"Only findings of these severities."`
	Rule         []string      `placeholder:"ID" complete:"rule" help:"Only findings of these rules."`
	Filter       string        `placeholder:"CEL" help:"Only findings on which this holds, as in finding.severity == \"high\" && asset.labels.site == \"berlin\"."`
	Assets       []string      `placeholder:"created,withdrawn" values:"created,changed,withdrawn,united,split,software" help:"Tell of assets: created, changed, withdrawn, united, split, software."`
	Field        []string      `placeholder:"stage" complete:"field" help:"Tell of assets of which these fields changed."`
	AssetFilter  string        `placeholder:"CEL" complete:"filter" help:"Only assets on which this holds."`
	Window       time.Duration `placeholder:"10m" help:"Gather for so long, from the first event on; without it they are told at once."`
	Daily        string        `placeholder:"08:00" help:"Tell once a day at this time."`
	TimeZone     string        `placeholder:"Europe/Berlin" help:"Of --daily; UTC without it."`
	PerHour      int           `placeholder:"12" help:"The most messages in an hour."`
	SecretFile   string        `placeholder:"FILE" complete:"file" help:"Key of the webhook; without it one is made and shown once."`
	Proxy        string        `placeholder:"URL" help:"HTTP proxy, or environment."`
	Trust        string        `placeholder:"FILE" complete:"file" help:"Certificates to trust beside the system's."`
	AllowPrivate bool          `help:"Let the receiver be in a private network."`
	Paused       bool          `help:"Do not tell anything yet."`
}

// Run creates a subscription.
func (cmd subscriptionsCreateCommand) Run(s *session) error {
	receiver, err := cmd.receiver()
	if err != nil {
		return err
	}
	pace := map[string]any{"daily": cmd.Daily, "time_zone": cmd.TimeZone, "per_hour": cmd.PerHour}
	if cmd.Window != 0 {
		pace["window"] = fmt.Sprintf("%gs", cmd.Window.Seconds())
	}
	body := map[string]any{"id": cmd.ID, "receiver": receiver, "pace": pace, "paused": cmd.Paused}
	assets := len(cmd.Assets)+len(cmd.Field) > 0 || cmd.AssetFilter != ""
	if assets {
		body["assets"] = map[string]any{"kinds": cmd.Assets, "fields": cmd.Field, "filter": cmd.AssetFilter}
	}
	if !assets || len(cmd.Findings)+len(cmd.Severity)+len(cmd.Rule) > 0 || cmd.Filter != "" {
		body["findings"] = map[string]any{"events": cmd.Findings, "severities": cmd.Severity, "rules": cmd.Rule, "filter": cmd.Filter}
	}
	return send(s, http.MethodPost, "/v1/subscriptions", body, func(made *adminpb.CreateSubscriptionResponse) {
		if made.GetSecret() != "" {
			fmt.Fprintln(s.out, made.GetSecret())
			s.note("this key signs what the webhook is sent, and is not shown again")
		}
		s.note("%s is told from now on: try it with rollcall subscriptions test %s", cmd.ID, cmd.ID)
	})
}

// receiver reads the files that the flags name.
func (cmd subscriptionsCreateCommand) receiver() (map[string]any, error) {
	r := map[string]any{"kind": "email", "to": cmd.Email, "proxy": cmd.Proxy, "allow_private": cmd.AllowPrivate}
	for kind, address := range map[string]string{"webhook": cmd.Webhook, "slack": cmd.Slack, "teams": cmd.Teams} {
		if address == "" {
			continue
		}
		if file, ok := strings.CutPrefix(address, "@"); ok {
			text, err := readSmall(file)
			if err != nil {
				return nil, err
			}
			address = strings.TrimSpace(text)
		}
		r["kind"], r["url"] = kind, address
	}
	for name, file := range map[string]string{"ca_pem": cmd.Trust, "secret": cmd.SecretFile} {
		if file == "" {
			continue
		}
		text, err := readSmall(file)
		if err != nil {
			return nil, err
		}
		if name == "secret" {
			text = strings.TrimSpace(text)
		}
		r[name] = text
	}
	return r, nil
}
