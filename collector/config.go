package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rollcall-itam/rollcall/collector/api"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/signin"
	"github.com/rollcall-itam/rollcall/collector/updates"
)

// Bounds of the interval at which agents check in.
const (
	minCheckIn = 10 * time.Second
	maxCheckIn = 24 * time.Hour
)

const (
	defaultConfig      = "/etc/rollcall/collector.yaml"
	defaultDataDir     = "/var/lib/rollcall-collector"
	defaultHistoryDays = 400
	// maxConfigBytes bounds a configuration file.
	maxConfigBytes = 1 << 20
)

// layer is one source of settings: the flags with the environment behind them,
// or the file. Nil means that it does not say.
type layer struct {
	DataDir         *string        `yaml:"data_dir" env:"ROLLCALL_DATA_DIR" placeholder:"DIR" help:"Folder of everything that the collector keeps."`
	HTTPAddr        *string        `yaml:"http_addr" name:"http-addr" env:"ROLLCALL_HTTP_ADDR" placeholder:"127.0.0.1:8470" help:"Where people and Prometheus ask; other than loopback only with TLS."`
	GRPCAddr        *string        `yaml:"grpc_addr" name:"grpc-addr" env:"ROLLCALL_GRPC_ADDR" placeholder:"127.0.0.1:8471" help:"Where agents report."`
	Store           *string        `yaml:"store" env:"ROLLCALL_STORE" placeholder:"badger:DIR" help:"badger:DIR, or memory, which forgets everything at the end; the default is the folder store in the data folder."`
	TLSName         *[]string      `yaml:"tls_name" name:"tls-name" env:"ROLLCALL_TLS_NAME" placeholder:"NAME" help:"Host name or address by which agents call, beside this machine's host name; may be repeated."`
	HTTPTLSCert     *string        `yaml:"http_tls_cert" name:"http-tls-cert" env:"ROLLCALL_HTTP_TLS_CERT" placeholder:"FILE" help:"PEM file of the certificate chain of --http-addr."`
	HTTPTLSKey      *string        `yaml:"http_tls_key" name:"http-tls-key" env:"ROLLCALL_HTTP_TLS_KEY" placeholder:"FILE" help:"PEM file of its key."`
	MetricsPublic   *bool          `yaml:"metrics_public" env:"ROLLCALL_METRICS_PUBLIC" help:"Let everybody read /metrics, without a token."`
	APIRate         *float64       `yaml:"api_rate" env:"ROLLCALL_API_RATE" placeholder:"500" help:"How many calls a second one API token may make, over time; negative for any number."`
	MinFree         *uint64        `yaml:"min_free" env:"ROLLCALL_MIN_FREE" placeholder:"BYTES" help:"Free disk space below which nothing is written (1 GiB)."`
	CheckInInterval *time.Duration `yaml:"check_in_interval" env:"ROLLCALL_CHECK_IN_INTERVAL" placeholder:"5m" help:"How often agents check in (10s to 24h)."`
	LogLevel        *string        `yaml:"log_level" env:"ROLLCALL_LOG_LEVEL" placeholder:"info" help:"debug, info, warn or error."`
	LogFormat       *string        `yaml:"log_format" env:"ROLLCALL_LOG_FORMAT" placeholder:"text" help:"text or json."`
	HistoryDays     *int           `yaml:"history_days" env:"ROLLCALL_HISTORY_DAYS" placeholder:"400" help:"How many days of history are kept; 0 for all."`
	RulesDir        *string        `yaml:"rules_dir" env:"ROLLCALL_RULES_DIR" placeholder:"DIR" help:"Folder of the site's own rules, *.yaml."`
	EOLFile         *string        `yaml:"eol_file" name:"eol-file" env:"ROLLCALL_EOL_FILE" placeholder:"FILE" help:"End-of-life data newer than what comes along: the answer of endoflife.date/api/v1/products/full."`
	UpdatesDir      *string        `yaml:"updates_dir" env:"ROLLCALL_UPDATES_DIR" placeholder:"DIR" help:"Folder of versions of the agent, signed with rollcall-collector updates sign, that are offered to agents."`
	UpdateKeys      *[]string      `yaml:"update_keys" env:"ROLLCALL_UPDATE_KEYS" placeholder:"ed25519:KEY" help:"Public key that the manifest in --updates-dir must be signed with; may be repeated."`
	// What follows stands in the file only.
	Feeds         *[]feedSettings       `yaml:"feeds" kong:"-"`
	Precedence    *precedenceSettings   `yaml:"precedence" kong:"-"`
	UpdateRings   *[]updates.Ring       `yaml:"update_rings" kong:"-"`
	Expiry        *expirySettings       `yaml:"expiry" kong:"-"`
	Notifications *notificationSettings `yaml:"notifications" kong:"-"`
	Advisories    *[]advisorySettings   `yaml:"advisories" kong:"-"`
	OIDC          *signin.Settings      `yaml:"oidc" kong:"-"`
}

// configFlags are those of the commands that need the settings.
type configFlags struct {
	Config string `env:"ROLLCALL_CONFIG" placeholder:"FILE" help:"Configuration file (YAML); flags and ROLLCALL_... variables outrank it."`
	layer  `embed:""`
}

// settings are what is in force.
type settings struct {
	DataDir         string        `yaml:"data_dir"`
	HTTPAddr        string        `yaml:"http_addr"`
	GRPCAddr        string        `yaml:"grpc_addr"`
	Store           string        `yaml:"store"`
	TLSName         []string      `yaml:"tls_name"`
	HTTPTLSCert     string        `yaml:"http_tls_cert"`
	HTTPTLSKey      string        `yaml:"http_tls_key"`
	MetricsPublic   bool          `yaml:"metrics_public"`
	APIRate         float64       `yaml:"api_rate"`
	MinFree         uint64        `yaml:"min_free"`
	CheckInInterval time.Duration `yaml:"check_in_interval"`
	LogLevel        string        `yaml:"log_level"`
	LogFormat       string        `yaml:"log_format"`
	HistoryDays     int           `yaml:"history_days"`
	RulesDir        string        `yaml:"rules_dir,omitempty"`
	EOLFile         string        `yaml:"eol_file,omitempty"`
	UpdatesDir      string        `yaml:"updates_dir,omitempty"`
	UpdateKeys      []string      `yaml:"update_keys,omitempty"`
	// UpdateRings are the parts of the fleet that updates reach one after the
	// other.
	UpdateRings []updates.Ring `yaml:"update_rings,omitempty"`
	// Feeds are the systems that are read.
	Feeds []feedSettings `yaml:"feeds,omitempty"`
	// Precedence changes whom to believe.
	Precedence precedenceSettings `yaml:"precedence,omitempty"`
	// Expiry says when assets of which nothing is heard are no longer in use.
	Expiry expirySettings `yaml:"expiry,omitempty"`
	// Notifications say who is told what happens.
	Notifications notificationSettings `yaml:"notifications,omitempty"`
	// Advisories are read over and over.
	Advisories []advisorySettings `yaml:"advisories,omitempty"`
	// OIDC says which provider lets people in; nil where none does.
	OIDC *signin.Settings `yaml:"oidc,omitempty"`

	level slog.Level
	// noMigrationBackup is a flag of one start, and of no file.
	noMigrationBackup bool
	// preset is the administrator's token that the environment sets; it is
	// read from nowhere else, so that it stands in no file and no list of
	// processes.
	preset string
}

// settings joins the layers and checks the result.
func (c configFlags) settings(getenv func(string) string) (settings, error) {
	file, err := readConfig(c.Config)
	if err != nil {
		return settings{}, err
	}
	flags := c.layer
	s := settings{
		DataDir:  first(defaultDataDir, flags.DataDir, file.DataDir),
		HTTPAddr: first("127.0.0.1:8470", flags.HTTPAddr, file.HTTPAddr), GRPCAddr: first("127.0.0.1:8471", flags.GRPCAddr, file.GRPCAddr),
		TLSName:     first(nil, flags.TLSName, file.TLSName),
		HTTPTLSCert: first("", flags.HTTPTLSCert, file.HTTPTLSCert), HTTPTLSKey: first("", flags.HTTPTLSKey, file.HTTPTLSKey),
		MetricsPublic: first(false, flags.MetricsPublic, file.MetricsPublic), MinFree: first(badgerkv.DefaultMinFree, flags.MinFree, file.MinFree),
		CheckInInterval: first(5*time.Minute, flags.CheckInInterval, file.CheckInInterval),
		LogLevel:        first("info", flags.LogLevel, file.LogLevel), LogFormat: first("text", flags.LogFormat, file.LogFormat),
		APIRate:     first(api.DefaultRate, flags.APIRate, file.APIRate),
		HistoryDays: first(defaultHistoryDays, flags.HistoryDays, file.HistoryDays), Feeds: first(nil, file.Feeds),
		RulesDir: first("", flags.RulesDir, file.RulesDir), EOLFile: first("", flags.EOLFile, file.EOLFile), Precedence: first(nil, file.Precedence),
		UpdatesDir: first("", flags.UpdatesDir, file.UpdatesDir), UpdateKeys: first(nil, flags.UpdateKeys, file.UpdateKeys), UpdateRings: first(nil, file.UpdateRings),
		preset: getenv("ROLLCALL_BOOTSTRAP_TOKEN"),
	}
	s.Expiry, s.Notifications = first(nil, file.Expiry), first(notificationSettings{}, file.Notifications)
	s.Advisories = first(nil, file.Advisories)
	s.OIDC = signInSettings(file.OIDC, s.Notifications.Link)
	s.Store = first("badger:"+filepath.Join(s.DataDir, "store"), flags.Store, file.Store)
	return s, s.check()
}

// first returns the value of the first layer that says one.
func first[T any](otherwise T, layers ...*T) T {
	for _, v := range layers {
		if v != nil {
			return *v
		}
	}
	return otherwise
}

func (s *settings) check() error {
	if err := s.level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return fmt.Errorf("log_level %q: want debug, info, warn or error", s.LogLevel)
	}
	if _, err := s.Expiry.policy(); err != nil {
		return err
	}
	if err := s.Notifications.check(); err != nil {
		return err
	}
	if _, err := s.advisorySources(); err != nil {
		return err
	}
	if s.OIDC != nil {
		if err := s.OIDC.Check(); err != nil {
			return fmt.Errorf("oidc: %w", err)
		}
	}
	engine, dir, _ := strings.Cut(s.Store, ":")
	switch {
	case s.DataDir == "":
		return errors.New("data_dir is empty: name the collector's folder with --data-dir")
	case s.LogFormat != "text" && s.LogFormat != "json":
		return fmt.Errorf("log_format %q: want text or json", s.LogFormat)
	case s.CheckInInterval < minCheckIn || s.CheckInInterval > maxCheckIn:
		return fmt.Errorf("check_in_interval %s: want %s to %s", s.CheckInInterval, minCheckIn, maxCheckIn)
	case s.APIRate == 0:
		return errors.New("api_rate is 0, with which nobody could ask anything: want calls a second, or -1 for any number")
	case s.HistoryDays < 0:
		return fmt.Errorf("history_days %d: want 0 (for all) or more", s.HistoryDays)
	case s.Store != "memory" && (engine != "badger" || dir == ""):
		return fmt.Errorf("--store %q is not known: want badger:DIR or memory", s.Store)
	case s.MinFree == 0:
		return errors.New("min_free is 0: a store on a full disk cannot even delete; leave at least some hundred megabytes")
	case (s.UpdatesDir == "") != (len(s.UpdateKeys) == 0):
		return errors.New("updates_dir and update_keys belong together: agents take nothing that is not signed; make a key with `rollcall-collector updates keygen`")
	case (s.HTTPTLSCert == "") != (s.HTTPTLSKey == ""):
		return errors.New("http_tls_cert and http_tls_key belong together: give both or neither")
	case s.HTTPTLSCert == "" && !loopback(s.HTTPAddr):
		return fmt.Errorf("--http-addr %s can be reached from other machines, and tokens must not travel in the clear: set --http-tls-cert and --http-tls-key, or listen on 127.0.0.1 behind a proxy that does TLS", s.HTTPAddr)
	}
	return nil
}

// loopback tells whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// readConfig reads a configuration file strictly. Without a name, the usual
// file is read where it exists.
func readConfig(name string) (layer, error) {
	usual := name == ""
	if usual {
		name = defaultConfig
	}
	f, err := os.Open(name)
	if usual && errors.Is(err, fs.ErrNotExist) {
		return layer{}, nil
	}
	if err != nil {
		return layer{}, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes))
	if err != nil {
		return layer{}, fmt.Errorf("read the configuration %s: %w", name, err)
	}
	l, err := decodeConfig(b)
	if err != nil {
		return layer{}, fmt.Errorf("configuration %s: %w", name, err)
	}
	return l, nil
}

var unknownKey = regexp.MustCompile(` not found in type [A-Za-z.]+`)

func decodeConfig(b []byte) (layer, error) {
	var l layer
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&l); err != nil && !errors.Is(err, io.EOF) {
		// The library names our type, which tells a reader nothing.
		return layer{}, errors.New(unknownKey.ReplaceAllString(err.Error(), " is unknown"))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return layer{}, errors.New("more than one document")
	}
	return l, nil
}

type configCommands struct {
	Check checkCommand `cmd:"" help:"Check the configuration and print what is in force, without secrets."`
}

type checkCommand struct{ configFlags }

// Run prints the settings as a configuration file.
func (c checkCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	b, err := s.shown()
	if err != nil {
		return err
	}
	_, err = world.stdout.Write(b)
	return err
}

// shown returns the settings as a configuration file, without secrets.
func (s settings) shown() ([]byte, error) {
	s.Feeds = slices.Clone(s.Feeds)
	for i, f := range s.Feeds {
		s.Feeds[i] = f.shown()
	}
	s.Notifications = s.Notifications.shown()
	for i, a := range s.Advisories {
		s.Advisories[i] = a.shown()
	}
	if s.OIDC != nil {
		shown := s.OIDC.Shown()
		s.OIDC = &shown
	}
	b, err := yaml.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("print the configuration: %w", err)
	}
	return b, nil
}

// newLogger returns the logger that the settings ask for.
func newLogger(w io.Writer, s settings) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
