package host

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// HealthyLine is what another version of the agent writes to its standard
	// output once it has reached its collector. It never changes: the installed
	// version has to understand all that come after it.
	HealthyLine = "healthy"
	// maxLine bounds what is read of a line of another version.
	maxLine = 4 << 10
	// versionTimeout is how long it may take to tell its version.
	versionTimeout = 30 * time.Second
)

// ProgramVersion runs a version of the agent that is not in use yet, to learn
// whether this machine can run it at all, and returns what its version command
// prints.
func ProgramVersion(ctx context.Context, path string) (string, error) {
	out, err := execute(ctx, Command{Argv: []string{path, "version"}, MaxBytes: maxLine, Timeout: versionTimeout})
	if err != nil {
		return "", fmt.Errorf("run %s version: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Program is another version of the agent that is to run in place of this one.
type Program struct {
	Path string
	// Args are its arguments, Env what is added to this process's environment.
	Args, Env []string
	Stderr    io.Writer
}

// Running is a program that was started. It is told to stop by the end of its
// standard input, which comes as well where this process dies.
type Running struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	healthy chan struct{}
	done    chan struct{}
	err     error
}

// Start starts the program.
func (p Program) Start() (*Running, error) {
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), p.Env...), p.Stderr
	// What it started itself may keep its output open.
	cmd.WaitDelay = time.Second
	quiet(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	r := &Running{cmd: cmd, stdin: stdin, healthy: make(chan struct{}), done: make(chan struct{})}
	cmd.Stdout = &listener{healthy: r.healthy}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	go func() {
		r.err = cmd.Wait()
		close(r.done)
	}()
	return r, nil
}

// listener waits for one line in what a program writes.
type listener struct {
	healthy chan struct{}
	line    []byte
	heard   bool
}

// Write takes the next part; a line longer than any that counts is cut.
func (l *listener) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			if !l.heard && strings.TrimSpace(string(l.line)) == HealthyLine {
				l.heard = true
				close(l.healthy)
			}
			l.line = l.line[:0]
		case len(l.line) < maxLine:
			l.line = append(l.line, c)
		}
	}
	return len(p), nil
}

// Healthy is closed once the program has reached its collector.
func (r *Running) Healthy() <-chan struct{} { return r.healthy }

// Done is closed once it has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err says how it ended, nil where well; it is for after Done.
func (r *Running) Err() error { return r.err }

// Stop asks it to end.
func (r *Running) Stop() { _ = r.stdin.Close() }

// Kill ends it at once.
func (r *Running) Kill() { _ = r.cmd.Process.Kill() }
