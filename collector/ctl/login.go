package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"time"
)

// sessionPrefix is how the tokens of people who signed in begin.
const sessionPrefix = "rcs_"

type loginCommand struct {
	NoBrowser bool `help:"Show the address to open instead of opening it; also for a browser on another machine."`
	Device    bool `help:"Sign in with a code that is entered on another device, where the provider and the collector allow that."`
}

// Run signs a person in, or checks a token, and saves what is then used.
func (cmd loginCommand) Run(s *session) error {
	c, err := s.connection.given(s.world)
	if err != nil {
		return err
	}
	if c.Token != "" && (cmd.NoBrowser || cmd.Device) {
		return fail(exitUsage, "there is a token (--token-file or ROLLCALL_TOKEN), with which nobody signs in: leave out it, or --no-browser and --device")
	}
	if c.CAFile != "" {
		if c.CAFile, err = filepath.Abs(c.CAFile); err != nil {
			return fmt.Errorf("find %s: %w", c.CAFile, err)
		}
	}
	if c.Token == "" {
		return cmd.signIn(s, c)
	}
	if c.URL == "" {
		return fail(exitUsage, "login needs --url, as in: rollcall login --url https://rollcall.example.com:8470 --token-file FILE")
	}
	cl, err := newClient(c)
	if err != nil {
		return err
	}
	answer, err := cl.get(s.ctx, "/v1/server", nil)
	if err != nil {
		return fmt.Errorf("nothing is saved: %w", err)
	}
	path, err := s.save(c)
	if err != nil {
		return err
	}
	return s.printDone(answer, fmt.Sprintf("logged in at %s; saved in %s", c.URL, path))
}

// save keeps a connection for later calls and returns the file's name.
func (s *session) save(c saved) (string, error) {
	path, err := configPath(s.world)
	if err != nil {
		return "", err
	}
	return path, c.store(path)
}

// signInInfo is how a collector says that people sign in.
type signInInfo struct {
	Issuer string `json:"issuer"`
	URL    string `json:"url"`
	Device bool   `json:"device"`
}

// signedIn is the session that a collector gives out.
type signedIn struct {
	Token   string    `json:"token"`
	Person  string    `json:"person"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Scope   []string  `json:"scope"`
	Expires time.Time `json:"expires_at"`
	// Pending and Interval say that nobody has entered the code yet, and after how
	// many seconds to ask again.
	Pending  bool `json:"pending"`
	Interval int  `json:"interval"`
}

// signIn signs a person in at the collector that was named, or was before.
func (cmd loginCommand) signIn(s *session, c saved) error {
	before, err := loadSaved(s.world)
	if err != nil {
		return err
	}
	if c.URL == "" {
		c.URL = before.URL
	}
	if c.URL == "" {
		return fail(exitUsage, "login needs --url, as in: rollcall login --url https://rollcall.example.com:8470, or with a token: rollcall login --url https://rollcall.example.com:8470 --token-file FILE")
	}
	if c.CAFile == "" && c.URL == before.URL {
		c.CAFile = before.CAFile
	}
	cl, err := newClient(c)
	if err != nil {
		return err
	}
	raw, err := cl.get(s.ctx, "/v1/signin", nil)
	if err != nil {
		return fmt.Errorf("nothing is saved: %w", err)
	}
	var info signInInfo
	if err := json.Unmarshal(raw, &info); err != nil {
		return fmt.Errorf("read how to sign in at %s: %w", c.URL, err)
	}
	if _, err := checkURL(info.URL); err != nil {
		return fmt.Errorf("%s says to sign in at %.200q, which is not safe: tell its administrator", c.URL, info.URL)
	}
	var got *signedIn
	if cmd.Device {
		got, err = s.byDevice(cl)
	} else {
		got, err = s.byBrowser(cl, info, cmd.NoBrowser)
	}
	if err != nil {
		return fmt.Errorf("not signed in: %w", err)
	}
	if !strings.HasPrefix(got.Token, sessionPrefix) || strings.ContainsFunc(got.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s gives out no session: check --url", c.URL)
	}
	c.Token = got.Token
	path, err := s.save(c)
	if err != nil {
		return err
	}
	return s.welcome(got, c, path)
}

// welcome tells who is signed in, without the secret.
func (s *session) welcome(got *signedIn, c saved, path string) error {
	b, err := json.Marshal(map[string]any{"url": c.URL, "person": got.Person, "name": got.Name, "role": got.Role, "scope": got.Scope, "expires_at": got.Expires})
	if err != nil {
		return fmt.Errorf("write the answer as JSON: %w", err)
	}
	part := ""
	if len(got.Scope) > 0 {
		part = ", of " + strings.Join(got.Scope, " ")
	}
	return s.printDone(b, fmt.Sprintf("signed in at %s as %s (%s%s) until %s; saved in %s", c.URL, got.Person, got.Role, part, got.Expires.Local().Format("2006-01-02 15:04"), path))
}

type logoutCommand struct{}

// Run ends the saved session at the collector, and forgets it here in any case.
func (logoutCommand) Run(s *session) error {
	before, err := loadSaved(s.world)
	if err != nil {
		return err
	}
	if before.Token == "" {
		return fail(exitUsage, "nobody is logged in: there is nothing saved that could be forgotten")
	}
	forgotten := before
	forgotten.Token = ""
	if _, err := s.save(forgotten); err != nil {
		return err
	}
	said := "forgot the token of " + before.URL + "; it can still be used by who has it"
	if strings.HasPrefix(before.Token, sessionPrefix) {
		if err := s.endSession(before); err != nil {
			return fmt.Errorf("you are logged out here, but the session at the collector lasts until its end: %w", err)
		}
		said = "signed out of " + before.URL
	}
	if err := s.printDone([]byte(`{}`), said); err != nil {
		return err
	}
	if strings.TrimSpace(s.world.getenv("ROLLCALL_TOKEN")) != "" {
		s.note("ROLLCALL_TOKEN is still set, and is used by the other commands")
	}
	return nil
}

// endSession ends a session at its collector; one that has ended is no error.
func (s *session) endSession(c saved) error {
	cl, err := newClient(c)
	if err != nil {
		return err
	}
	_, err = cl.call(s.ctx, "POST", "/v1/caller:signout", map[string]string{})
	var f *failure
	if errors.As(err, &f) && f.code == exitUnauthorised {
		return nil
	}
	return err
}
