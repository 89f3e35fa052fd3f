package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// defaultCommandBytes and defaultCommandTimeout are the bounds of commands
	// that name none.
	defaultCommandBytes   = 1 << 20
	defaultCommandTimeout = 10 * time.Second
	// maxComplaint is how much of what a command complains of an error carries.
	maxComplaint = 200
)

// Command is a program that facts may have run. There is no shell, and nobody
// gives it arguments but the list.
type Command struct {
	// Name is how facts ask for it, and what a capture keeps its output under.
	Name string
	// OS is the GOOS that has it.
	OS string
	// Argv is the program's absolute path and its arguments. On Windows,
	// %SystemRoot% at the start of the path is replaced.
	Argv []string
	// MaxBytes bounds the output; 0 means 1 MiB.
	MaxBytes int
	// Timeout is how long it may run; 0 means 10 seconds.
	Timeout time.Duration
}

// Commands is every program that the agent runs: one that is not here cannot
// be run. Names are unique.
func Commands() []Command { return slices.Concat(linuxCommands, macCommands, windowsCommands) }

// Run returns what a listed command writes to its standard output. One that
// fails gives an error together with what it wrote. The error wraps
// errors.ErrUnsupported for commands of other systems, fs.ErrNotExist where the
// machine lacks the program, and context.DeadlineExceeded after its time.
func (h *Host) Run(ctx context.Context, name string) ([]byte, error) {
	i := slices.IndexFunc(Commands(), func(c Command) bool { return c.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("run %s: it is not on the list of commands", name)
	}
	c := Commands()[i]
	switch {
	case c.OS != h.OS:
		return nil, fmt.Errorf("run %s on %s: %w", name, h.OS, errors.ErrUnsupported)
	case h.source == nil:
		return nil, fmt.Errorf("run %s: %w", name, errNotRunning)
	}
	out, err := h.source.run(ctx, c)
	if err != nil {
		return out, fmt.Errorf("run %s: %w", name, err)
	}
	return out, nil
}

// limits returns the bounds of a command.
func (c Command) limits() (bytes int, timeout time.Duration) {
	bytes, timeout = c.MaxBytes, c.Timeout
	if bytes <= 0 {
		bytes = defaultCommandBytes
	}
	if timeout <= 0 {
		timeout = defaultCommandTimeout
	}
	return bytes, timeout
}

// execute runs a command of this machine.
func execute(ctx context.Context, c Command) ([]byte, error) {
	most, timeout := c.limits()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	program := c.Argv[0]
	if rest, ok := strings.CutPrefix(program, "%SystemRoot%"); ok {
		program = os.Getenv("SystemRoot") + rest
	}
	cmd := exec.CommandContext(ctx, program, c.Argv[1:]...)
	out, complaint := &bounded{most: most, end: cancel}, &bounded{most: maxComplaint}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = nil, out, complaint, commandEnvironment()
	// Children that outlive the command would keep its output open.
	cmd.WaitDelay = time.Second
	quiet(cmd)
	err := cmd.Run()
	switch {
	case out.full:
		err = fmt.Errorf("more than %d bytes of output: the rest is not read", most)
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("stopped after %s: %w", timeout, ctx.Err())
	case err != nil && complaint.kept.Len() > 0:
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(strings.ToValidUTF8(complaint.kept.String(), "?")))
	}
	return out.kept.Bytes(), err
}

// commandEnvironment is the same whoever started the agent, so that the output
// is in one language and nothing of it comes from elsewhere.
func commandEnvironment() []string {
	if runtime.GOOS != "windows" {
		return []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "LANG=C", "HOME=/var/empty"}
	}
	var env []string
	for _, name := range []string{"SystemRoot", "SystemDrive", "windir", "ProgramData", "ProgramFiles", "TEMP", "TMP"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return append(env, "PATH="+os.Getenv("SystemRoot")+`\System32`)
}

// bounded keeps the first bytes that are written to it. It does not embed the
// buffer, whose ReadFrom would read past the bound.
type bounded struct {
	kept bytes.Buffer
	most int
	full bool
	// end stops the writer when the room is used up; nil lets it go on.
	end func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.most - b.kept.Len(); len(p) > room {
		b.full = true
		b.kept.Write(p[:room])
		if b.end != nil {
			b.end()
		}
		return len(p), nil
	}
	return b.kept.Write(p)
}
