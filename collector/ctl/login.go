package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// savedLogin is what login keeps, readable by its owner only.
type savedLogin struct {
	URL   string `yaml:"url"`
	Token string `yaml:"token"`
}

type loginCmd struct{}

// Run checks address and token against the collector and saves them.
func (loginCmd) Run(a *app, c *cli) error {
	if c.URL == "" || (c.TokenFile == "" && a.env("ROLLCALL_TOKEN") == "") {
		return errors.New("give --url http://host:8470 and --token-file FILE (or ROLLCALL_TOKEN)")
	}
	token := a.env("ROLLCALL_TOKEN")
	if c.TokenFile != "" {
		var err error
		if token, err = readToken(c.TokenFile); err != nil {
			return err
		}
	}
	client, err := newClient(c.URL, token)
	if err != nil {
		return err
	}
	info := new(pb.GetServerInfoResponse)
	if err := client.get(a.ctx, "/v1/server", nil, info); err != nil {
		return err
	}
	path, err := loginPath(a.env)
	if err != nil {
		return err
	}
	content, err := yaml.Marshal(savedLogin{URL: client.base, Token: client.token})
	if err != nil {
		return fmt.Errorf("encode the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save the login: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("save the login: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "Logged in to %s (version %s); saved in %s\n", client.base, plain(info.GetVersion()), path)
	return err
}

func loginPath(env func(string) string) (string, error) {
	dir := env("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("find the folder for settings: %w", err)
		}
	}
	return filepath.Join(dir, "rollcall", "config.yaml"), nil
}

// loadLogin reads what login saved; nothing saved is no error.
func loadLogin(env func(string) string) (savedLogin, error) {
	path, err := loginPath(env)
	if err != nil {
		// Without a home folder nothing was saved.
		return savedLogin{}, nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return savedLogin{}, nil
	}
	var l savedLogin
	if err == nil {
		err = yaml.Unmarshal(content, &l)
	}
	if err != nil {
		return l, fmt.Errorf("saved login (%s): %w", path, err)
	}
	return l, nil
}
