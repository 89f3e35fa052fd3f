package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// errChanged is wrapped where a program is not the one that was signed.
var errChanged = errors.New("it is not the program that was signed")

// programName is that of the program in a version's folder.
func programName(platform string) string {
	if strings.HasPrefix(platform, "windows/") {
		return "rollcall-agent.exe"
	}
	return "rollcall-agent"
}

// verify returns the path of a version's program, once its manifest is found
// signed and the file is what that names. It is done before each start: what
// lies in a folder may have been changed, and keys may be trusted no longer.
// That the manifest expired since forbids nothing.
func (f Folder) verify(p program, keys release.Keys, platform string) (string, error) {
	v, err := release.ParseVersion(p.Version)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(f.dir, v.String())
	signed, err := readBounded(filepath.Join(dir, manifestFile), release.MaxManifest)
	if err != nil {
		return "", fmt.Errorf("read its manifest: %w", err)
	}
	m, err := release.Open(signed, keys)
	if err != nil {
		return "", err
	}
	_, want, err := m.Find(v.String(), platform)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, programName(platform))
	return path, matches(path, want)
}

// matches tells whether a file has the size and the digest that a manifest
// names.
func matches(path string, want release.File) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(file, want.Size+1))
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != want.Size || got != want.SHA256 {
		return fmt.Errorf("%s: %w: it has %d bytes or more and the SHA-256 %s, the manifest names %d and %s", path, errChanged, n, got, want.Size, want.SHA256)
	}
	return nil
}

// sink is a program that is being written. It takes as many bytes as the
// manifest names and no more.
type sink struct {
	file *os.File
	want release.File
	got  int64
}

// newSink makes the file of a program that its owner may run.
func newSink(path string, want release.File) (*sink, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return nil, fmt.Errorf("keep the program: %w", err)
	}
	return &sink{file: file, want: want}, nil
}

// Write takes the next part of the program.
func (s *sink) Write(p []byte) (int, error) {
	if s.got += int64(len(p)); s.got > s.want.Size {
		return 0, fmt.Errorf("%w: more than the %d bytes that the manifest names arrived", errChanged, s.want.Size)
	}
	n, err := s.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("keep the program: %w", err)
	}
	return n, nil
}

// close puts the program on the disk and tells whether it is the one that was
// signed, as it can be read again.
func (s *sink) close() error {
	err := s.file.Sync()
	if err = errors.Join(err, s.file.Close()); err != nil {
		return fmt.Errorf("keep the program: %w", err)
	}
	return matches(s.file.Name(), s.want)
}
