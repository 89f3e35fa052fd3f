package facts

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// anyUser begins a watched path of the registry that every user's part has who
// is logged on.
const anyUser = `HKU\*\`

// ofRegistry tells a key of the registry from a path of fs.FS, of which none
// begins so.
func ofRegistry(name string) bool {
	return strings.HasPrefix(name, `HKLM\`) || strings.HasPrefix(name, `HKU\`)
}

// keysWritten returns a sum that changes when a key or one directly below it is
// written, made or removed; under anyUser also when somebody logs on or off. It
// is zero where no key has the path, and not ok where a key cannot be read or
// the machine does not tell when it was written.
func keysWritten(h *host.Host, name string) (sum [sha256.Size]byte, ok bool) {
	digest, paths := sha256.New(), []string{name}
	rest, each := strings.CutPrefix(name, anyUser)
	if each {
		r := &winreg{h: h}
		paths = paths[:0]
		for _, sid := range append(r.users(), localSystem) {
			fmt.Fprintf(digest, "%s\n", sid)
			paths = append(paths, `HKU\`+sid+`\`+rest)
		}
		if r.bad.count > 0 {
			return sum, false
		}
	}
	found := false
	for _, p := range paths {
		k, err := h.RegistryKey(p)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil || !addWritten(digest, p, k) {
			return sum, false
		}
		found = true
	}
	if found || each {
		digest.Sum(sum[:0])
	}
	return sum, true
}

// addWritten adds a key and those directly below it to a sum; false where a time
// is not known.
func addWritten(digest hash.Hash, path string, k *host.RegistryKey) bool {
	if k.Written.IsZero() || len(k.SubkeysWritten) != len(k.Subkeys) {
		return false
	}
	fmt.Fprintf(digest, "%s %d\n", path, k.Written.UnixNano())
	for i, name := range k.Subkeys {
		if k.SubkeysWritten[i].IsZero() {
			return false
		}
		fmt.Fprintf(digest, "%s\x00%d\n", name, k.SubkeysWritten[i].UnixNano())
	}
	return true
}
