package badgerkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

const (
	verifyCommand = "verify-badger-store"
	exitDamaged   = 3
	exitFailed    = 4
	// maxReport bounds what is kept of a child's output.
	maxReport = 4 << 10
)

// VerifyMain runs Verify in place of the program if args (without the
// program's name) ask for it, as those of VerifyInChild do. The program calls
// it before anything else and exits with exitCode if it was handled.
func VerifyMain(args []string) (handled bool, exitCode int) {
	if len(args) != 2 || args[0] != verifyCommand {
		return false, 0
	}
	err := Verify(args[1])
	if err == nil {
		return true, 0
	}
	fmt.Fprintln(os.Stdout, err)
	if errors.Is(err, ErrDamaged) {
		return true, exitDamaged
	}
	return true, exitFailed
}

// VerifyInChild runs Verify in a child process, which a damage that makes
// Badger end the process cannot take with it. It starts the program's own
// executable, which must call VerifyMain.
func VerifyInChild(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program's own file to verify the store: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, verifyCommand, dir) //nolint:forbidigo // it starts nothing but itself
	var out bounded
	cmd.Stdout = &out
	err = cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("start the program to verify the store: %w", err)
	}
	switch exit.ExitCode() {
	case exitDamaged:
		return reported{text: firstLine(out.String())}
	case exitFailed:
		return errors.New(firstLine(out.String()))
	}
	// What Badger panics with tells a reader nothing about what to do.
	return damagedf("its files are damaged such that reading them ended the reader (%v)", err)
}

// reported is an ErrDamaged that a child described.
type reported struct{ text string }

func (r reported) Error() string { return r.text }
func (r reported) Unwrap() error { return ErrDamaged }

// bounded keeps the first maxReport bytes written to it.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxReport - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

var _ io.Writer = (*bounded)(nil)
