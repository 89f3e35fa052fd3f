package facts

import (
	"slices"
	"sync"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// dpkgReading reads dpkg's database for the facts that need it, once for each
// state of it. It keeps the fields of the packages and not the files, which are
// ten times as large.
type dpkgReading struct {
	mu     sync.Mutex
	stamps []pathState
	kept   []debPackage
}

// packages returns what readDpkg does. Its packages are shared: whoever gets
// them changes nothing.
func (r *dpkgReading) packages(h *host.Host) ([]debPackage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stamps := stampsOf(h, dpkgWatch)
	if len(stamps) > 0 && same(r.stamps, stamps) {
		return r.kept, nil
	}
	packages, err := readDpkg(h.FS)
	if err != nil {
		return packages, err
	}
	r.stamps, r.kept = stamps, compact(packages)
	return r.kept, nil
}

// compact returns packages whose bytes are apart from the files that they were
// read from, so that those can go.
func compact(packages []debPackage) []debPackage {
	size := 0
	for i := range packages {
		for _, field := range packages[i].fields() {
			size += len(*field)
		}
	}
	out, all := slices.Clip(packages), make([]byte, 0, size)
	for i := range out {
		for _, field := range out[i].fields() {
			begin := len(all)
			all = append(all, *field...)
			*field = all[begin:len(all):len(all)]
		}
	}
	return out
}

func (p *debPackage) fields() [5]*[]byte {
	return [5]*[]byte{&p.name, &p.version, &p.arch, &p.maintainer, &p.size}
}
