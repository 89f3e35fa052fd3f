package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rollcall-itam/rollcall/agent/privacy"
	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/pkg/release"
	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
)

// Defaults and bounds of the intervals. The bounds hold for what the collector
// asks for, too.
const (
	defaultCheckIn   = 5 * time.Minute
	defaultInventory = time.Hour
	minInterval      = 10 * time.Second
	maxInterval      = 24 * time.Hour

	// defaultUpdateHealth is longer than a machine takes to be read for the first
	// time.
	defaultUpdateHealth = 15 * time.Minute
)

// Default and bounds of the memory limit, in MiB. Below, the collector of garbage
// would be at work all the time.
const (
	defaultMemoryLimit = 48
	minMemoryLimit     = 24
	maxMemoryLimit     = 1024
)

// maxConfigBytes bounds a configuration file, maxPrivacyKey a key of hashes.
const (
	maxConfigBytes = 1 << 20
	maxPrivacyKey  = 4 << 10
)

// layer is one source of settings: the flags with the environment behind them,
// or the file. Nil means that it does not say.
type layer struct {
	Collector *string `yaml:"collector" env:"ROLLCALL_AGENT_COLLECTOR" placeholder:"HOST:8471" help:"Address of the collector."`
	CAFile    *string `yaml:"ca_file" name:"ca-file" env:"ROLLCALL_AGENT_CA_FILE" placeholder:"FILE" help:"PEM file of the authority that signs the collector's certificate."`
	CAPin     *string `yaml:"ca_pin" name:"ca-pin" env:"ROLLCALL_AGENT_CA_PIN" placeholder:"sha256:HEX" help:"Pin of that authority, instead of its file."`
	TokenFile *string `yaml:"token_file" env:"ROLLCALL_AGENT_TOKEN_FILE" placeholder:"FILE" help:"File with the enrolment token; - reads standard input."`
	// Token is in the file only: arguments and environments can be seen by others.
	Token             *string        `yaml:"token" kong:"-"`
	StateDir          *string        `yaml:"state_dir" env:"ROLLCALL_AGENT_STATE_DIR" placeholder:"DIR" help:"Folder of the agent's key and certificate."`
	CheckInInterval   *time.Duration `yaml:"check_in_interval" env:"ROLLCALL_AGENT_CHECK_IN_INTERVAL" placeholder:"5m" help:"Time between check-ins, unless the collector asks for another (10s to 24h)."`
	InventoryInterval *time.Duration `yaml:"inventory_interval" env:"ROLLCALL_AGENT_INVENTORY_INTERVAL" placeholder:"1h" help:"Time between readings of the machine, unless the collector asks for another (10s to 24h)."`
	Proxy             *string        `yaml:"proxy" env:"ROLLCALL_AGENT_PROXY" placeholder:"URL" help:"HTTP proxy to reach the collector through; direct for none. Without it, HTTPS_PROXY and NO_PROXY count."`
	MemoryLimit       *int           `yaml:"memory_limit_mib" name:"memory-limit-mib" env:"ROLLCALL_AGENT_MEMORY_LIMIT_MIB" placeholder:"48" help:"Memory in MiB that the agent tries to stay within (24 to 1024)."`
	LogLevel          *string        `yaml:"log_level" env:"ROLLCALL_AGENT_LOG_LEVEL" placeholder:"info" help:"debug, info, warn or error."`
	LogFormat         *string        `yaml:"log_format" env:"ROLLCALL_AGENT_LOG_FORMAT" placeholder:"text" help:"text or json."`
	LogFile           *string        `yaml:"log_file" env:"ROLLCALL_AGENT_LOG_FILE" placeholder:"FILE" help:"File to log to as well, which is rotated; none switches off the one that a service on Windows and macOS has."`
	LogFileSize       *int           `yaml:"log_file_mib" name:"log-file-mib" env:"ROLLCALL_AGENT_LOG_FILE_MIB" placeholder:"5" help:"Size in MiB at which the log file is rotated (1 to 1024)."`
	LogFileKeep       *int           `yaml:"log_file_keep" env:"ROLLCALL_AGENT_LOG_FILE_KEEP" placeholder:"3" help:"Rotated log files that are kept (1 to 100)."`
	BYOD              *bool          `yaml:"byod" name:"byod" env:"ROLLCALL_AGENT_BYOD" help:"The device is its user's own: report no personal applications and no browser extensions."`
	PrivacyKeyFile    *string        `yaml:"privacy_key_file" env:"ROLLCALL_AGENT_PRIVACY_KEY_FILE" placeholder:"FILE" help:"File with the key that names are hashed with, the same on all devices of a fleet."`
	SelfUpdate        *bool          `yaml:"self_update" env:"ROLLCALL_AGENT_SELF_UPDATE" help:"Take newer versions of the agent from the collector, where one of the update keys signed them."`
	UpdateKeys        *[]string      `yaml:"update_keys" env:"ROLLCALL_AGENT_UPDATE_KEYS" placeholder:"ed25519:KEY" help:"Public key that updates must be signed with; may be repeated."`
	UpdateHealth      *time.Duration `yaml:"update_health_timeout" name:"update-health-timeout" env:"ROLLCALL_AGENT_UPDATE_HEALTH_TIMEOUT" placeholder:"15m" help:"Time in which an update must reach the collector, or is taken back (10s to 24h)."`
	// Privacy is in the file only: what is withheld is settled once.
	Privacy map[string]string `yaml:"privacy" kong:"-"`
}

// configFlags are those of the commands that need the settings.
type configFlags struct {
	Config string `env:"ROLLCALL_AGENT_CONFIG" placeholder:"FILE" help:"Configuration file (YAML); flags and ROLLCALL_AGENT_... variables outrank it."`
	layer  `embed:""`
}

// settings are what is in force.
type settings struct {
	Collector         string        `yaml:"collector"`
	CAFile            string        `yaml:"ca_file"`
	CAPin             string        `yaml:"ca_pin"`
	TokenFile         string        `yaml:"token_file"`
	Token             string        `yaml:"token,omitempty"`
	StateDir          string        `yaml:"state_dir"`
	CheckInInterval   time.Duration `yaml:"check_in_interval"`
	InventoryInterval time.Duration `yaml:"inventory_interval"`
	Proxy             string        `yaml:"proxy"`
	MemoryLimit       int           `yaml:"memory_limit_mib"`
	LogLevel          string        `yaml:"log_level"`
	LogFormat         string        `yaml:"log_format"`
	LogFile           string        `yaml:"log_file"`
	LogFileSize       int           `yaml:"log_file_mib"`
	LogFileKeep       int           `yaml:"log_file_keep"`
	BYOD              bool          `yaml:"byod"`
	PrivacyKeyFile    string        `yaml:"privacy_key_file"`
	SelfUpdate        bool          `yaml:"self_update"`
	UpdateKeys        []string      `yaml:"update_keys,omitempty"`
	UpdateHealth      time.Duration `yaml:"update_health_timeout"`
	// Privacy has the level of each section that is not full.
	Privacy map[string]string `yaml:"privacy,omitempty"`

	level    slog.Level
	pin      tlsconf.Pin
	withheld privacy.Settings
	updaters release.Keys
}

// settings reads the file, joins the layers and checks the result.
func (c configFlags) settings() (settings, error) {
	file, err := readConfig(c.Config)
	if err != nil {
		return settings{}, err
	}
	return join(c.layer, file)
}

// join gives what is in force where flags outrank the file.
func join(flags, file layer) (settings, error) {
	s := settings{
		Collector: first("", flags.Collector, file.Collector), CAFile: first("", flags.CAFile, file.CAFile), CAPin: first("", flags.CAPin, file.CAPin),
		TokenFile: first("", flags.TokenFile, file.TokenFile), Token: first("", file.Token), StateDir: first(defaultStateDir(runtime.GOOS, os.Getenv), flags.StateDir, file.StateDir),
		CheckInInterval:   first(defaultCheckIn, flags.CheckInInterval, file.CheckInInterval),
		InventoryInterval: first(defaultInventory, flags.InventoryInterval, file.InventoryInterval),
		Proxy:             first("", flags.Proxy, file.Proxy),
		MemoryLimit:       first(defaultMemoryLimit, flags.MemoryLimit, file.MemoryLimit),
		LogLevel:          first("info", flags.LogLevel, file.LogLevel), LogFormat: first("text", flags.LogFormat, file.LogFormat),
		LogFile: first("", flags.LogFile, file.LogFile), LogFileSize: first(defaultLogSize, flags.LogFileSize, file.LogFileSize),
		LogFileKeep: first(defaultLogKeep, flags.LogFileKeep, file.LogFileKeep),
		BYOD:        first(false, flags.BYOD, file.BYOD), PrivacyKeyFile: first("", flags.PrivacyKeyFile, file.PrivacyKeyFile), Privacy: file.Privacy,
		SelfUpdate: first(false, flags.SelfUpdate, file.SelfUpdate), UpdateKeys: first(nil, flags.UpdateKeys, file.UpdateKeys),
		UpdateHealth: first(defaultUpdateHealth, flags.UpdateHealth, file.UpdateHealth),
	}
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
	if s.LogFormat != "text" && s.LogFormat != "json" {
		return fmt.Errorf("log_format %q: want text or json", s.LogFormat)
	}
	if err := errors.Join(bounded("check_in_interval", s.CheckInInterval), bounded("inventory_interval", s.InventoryInterval),
		bounded("update_health_timeout", s.UpdateHealth), s.checkLog()); err != nil {
		return err
	}
	if s.MemoryLimit < minMemoryLimit || s.MemoryLimit > maxMemoryLimit {
		return fmt.Errorf("memory_limit_mib %d: want %d to %d", s.MemoryLimit, minMemoryLimit, maxMemoryLimit)
	}
	if !addressable(s.Collector) {
		return fmt.Errorf("collector %q: want HOST:PORT, such as rollcall.example.com:8471", s.Collector)
	}
	if _, err := report.ProxySetting(s.Proxy); err != nil {
		return err
	}
	if s.CAPin != "" {
		var err error
		if s.pin, err = tlsconf.ParsePin(s.CAPin); err != nil {
			return err
		}
	}
	if s.CAPin != "" && s.CAFile != "" {
		return errors.New("give ca_file or ca_pin, not both")
	}
	if s.Token != "" && s.TokenFile != "" {
		return errors.New("give token or token_file, not both")
	}
	var err error
	if s.updaters, err = release.ParseKeys(s.UpdateKeys); err != nil {
		return err
	}
	if s.SelfUpdate && len(s.updaters) == 0 {
		return errors.New("self_update needs update_keys: an agent takes nothing that is not signed by a key that you name")
	}
	s.withheld, err = s.private()
	return err
}

// private returns what is withheld. The key is read once, at the start.
func (s *settings) private() (privacy.Settings, error) {
	p := privacy.Settings{Levels: s.Privacy, BYOD: s.BYOD}
	if s.PrivacyKeyFile == "" || !p.Hashes() {
		return p, p.Check()
	}
	f, err := os.Open(s.PrivacyKeyFile)
	if err != nil {
		return p, fmt.Errorf("read the privacy key: %w", err)
	}
	defer f.Close()
	key, err := io.ReadAll(io.LimitReader(f, maxPrivacyKey+1))
	if err != nil {
		return p, fmt.Errorf("read the privacy key: %w", err)
	}
	if len(key) > maxPrivacyKey {
		return p, fmt.Errorf("privacy key %s: larger than %d bytes", s.PrivacyKeyFile, maxPrivacyKey)
	}
	p.Key = bytes.TrimSpace(key)
	return p, p.Check()
}

// addressable tells whether addr is a host and a port, or empty.
func addressable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	n, bad := strconv.ParseUint(port, 10, 16)
	return addr == "" || err == nil && bad == nil && n > 0 && host != "" && !strings.ContainsAny(host, "/ @")
}

func bounded(name string, d time.Duration) error {
	if d < minInterval || d > maxInterval {
		return fmt.Errorf("%s %s: want %s to %s", name, d, minInterval, maxInterval)
	}
	return nil
}

// masked returns the settings without secrets.
func (s settings) masked() settings {
	if u, err := url.Parse(s.Proxy); err == nil {
		s.Proxy = u.Redacted()
	} else {
		s.Proxy = "(not a URL)"
	}
	if s.Token != "" {
		s.Token = "(set)"
	}
	return s
}

// readConfig reads a configuration file strictly. Without a name, the usual
// file is read where it exists.
func readConfig(name string) (layer, error) {
	usual := name == ""
	if usual {
		name = defaultConfig(runtime.GOOS, os.Getenv)
	}
	f, err := os.Open(name)
	if usual && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return layer{}, nil
	}
	if err != nil {
		return layer{}, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return layer{}, fmt.Errorf("read the configuration %s: %w", name, err)
	}
	if len(b) > maxConfigBytes {
		return layer{}, fmt.Errorf("configuration %s: larger than %d bytes", name, maxConfigBytes)
	}
	l, err := decodeConfig(b)
	if err != nil {
		return layer{}, fmt.Errorf("configuration %s: %w", name, err)
	}
	if l.Token == nil || runtime.GOOS == "windows" {
		return l, nil
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return layer{}, fmt.Errorf("configuration %s holds a token and is not its owner's alone: chmod 600 %s", name, name)
	}
	return l, nil
}

func decodeConfig(b []byte) (layer, error) {
	var l layer
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&l); err != nil && !errors.Is(err, io.EOF) {
		// The library names our types, which tells a reader nothing.
		words := strings.NewReplacer(" not found in type main.layer", " is unknown", "into main.layer", "into settings", "into time.Duration", "into a time such as 5m or 1h")
		return layer{}, errors.New(words.Replace(err.Error()))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return layer{}, errors.New("more than one document")
	}
	return l, nil
}

// defaultConfig is where the configuration of an installed agent stands.
func defaultConfig(goos string, getenv func(string) string) string {
	switch goos {
	case "windows":
		return filepath.Join(getenv("ProgramData"), "Rollcall", "agent.yaml")
	case "darwin":
		return "/Library/Application Support/Rollcall/agent.yaml"
	}
	return "/etc/rollcall/agent.yaml"
}

// defaultStateDir is where an installed agent keeps its state.
func defaultStateDir(goos string, getenv func(string) string) string {
	switch goos {
	case "windows":
		return filepath.Join(getenv("ProgramData"), "Rollcall", "agent")
	case "darwin":
		return "/Library/Application Support/Rollcall/agent"
	}
	return "/var/lib/rollcall-agent"
}

type configCommands struct {
	Check checkCommand `cmd:"" help:"Check the configuration and print what is in force, without secrets."`
}

type checkCommand struct{ configFlags }

// Run prints the effective settings as YAML, where an agent could start with
// them.
func (c checkCommand) Run(world outside) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	o, err := options(s, report.Folder{}, world.stdin, newLogger(world.stderr, s))
	if err != nil {
		return err
	}
	if s.Collector != "" {
		if _, err := report.New(o); err != nil {
			return err
		}
	}
	out, err := yaml.Marshal(s.masked())
	if err != nil {
		return fmt.Errorf("print the settings: %w", err)
	}
	_, err = world.stdout.Write(out)
	return err
}
