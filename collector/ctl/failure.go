package main

import (
	"errors"
	"fmt"
	"net/http"
)

// Exit codes of the program, which scripts rely on; docs/cli.md and the help say
// what they mean.
const (
	exitError        = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitUnauthorised = 4
	// exitUnreachable is for what may be better later.
	exitUnreachable = 5
	exitConflict    = 6
	// exitInterrupted is what shells say of a program that SIGINT ended.
	exitInterrupted = 130
)

// exits tells what each exit code means.
const exits = `Exit codes: 0 it worked; 1 an error; 2 a wrong command line or a request that the collector cannot read; 3 not found; ` +
	`4 not signed in, or not allowed; 5 the collector is not reachable, not ready or too busy; 6 it exists already, or was changed meanwhile; 130 interrupted.`

// failure is an error with an exit code of its own.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func fail(code int, format string, args ...any) error {
	return &failure{code: code, text: fmt.Sprintf(format, args...)}
}

func exitCode(err error) int {
	var f *failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.code
	}
	return exitError
}

// exitOf returns the exit code for an HTTP status that is an error.
func exitOf(status int) int {
	switch status {
	case http.StatusBadRequest:
		return exitUsage
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitUnauthorised
	case http.StatusConflict, http.StatusPreconditionFailed:
		return exitConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnreachable
	}
	return exitError
}
