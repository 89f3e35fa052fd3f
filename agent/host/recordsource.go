package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host/regfile"
)

// recordedSource is the source of a machine that is recorded.
type recordedSource struct {
	live source
	to   *Recorder
}

func (s *recordedSource) answer(what string, question func() (any, error)) (any, error) {
	a, err := s.live.answer(what, question)
	text, jerr := json.Marshal(a)
	r := s.to
	r.mu.Lock()
	defer r.mu.Unlock()
	switch what = r.scrubText(what); {
	case r.closed:
	case err != nil:
		f := failed(err)
		f.Text = r.scrubText(f.Text)
		r.machine.Failures[what] = f
	case jerr != nil:
		r.leaveOut(what, jerr.Error())
	case r.machine.Answers[what] == nil:
		r.machine.Answers[what] = r.scrub("", text)
	}
	return a, err
}

func (s *recordedSource) run(ctx context.Context, c Command) ([]byte, error) {
	out, err := s.live.run(ctx, c)
	r := s.to
	r.mu.Lock()
	defer r.mu.Unlock()
	name := path.Join(captureCommands, c.Name)
	if err == nil || len(out) > 0 {
		r.keep(name, out)
	}
	if err != nil {
		r.keepFailure(name, err)
	}
	return out, err
}

func (s *recordedSource) query(ctx context.Context, q Query) ([]Row, error) {
	rows, err := s.live.query(ctx, q)
	r := s.to
	r.mu.Lock()
	defer r.mu.Unlock()
	name := path.Join(captureQueries, q.Name)
	if err != nil {
		r.keepFailure(name, err)
		return rows, err
	}
	text, jerr := json.MarshalIndent(rows, "", " ")
	if jerr != nil {
		r.leaveOut(name, jerr.Error())
		return rows, nil
	}
	r.keep(name+".json", append(text, '\n'))
	return rows, nil
}

func (s *recordedSource) smbios(ctx context.Context) ([]byte, error) {
	table, err := s.live.smbios(ctx)
	r := s.to
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.keepFailure(captureSMBIOS, err)
	} else {
		r.keep(captureSMBIOS, table)
	}
	return table, err
}

func (s *recordedSource) registryKey(path string) (*RegistryKey, error) {
	k, err := s.live.registryKey(path)
	if r := s.to; !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrNotExist) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keepKey(path, k, err)
	}
	return k, err
}

// keepKey notes a key, and that its subkeys are there. The caller holds mu.
func (r *Recorder) keepKey(path string, k *RegistryKey, err error) {
	lower := strings.ToLower(path)
	if r.closed || r.keys[lower] {
		return
	}
	r.keys[lower] = true
	out := regfile.Key{Path: r.longPath(path)}
	if err != nil {
		f := failed(err)
		out.Failed = r.scrubText(strings.TrimSpace(f.Kind + " " + f.Text))
		r.registry = append(r.registry, out)
		return
	}
	out.Written = k.Written
	for _, name := range slices.Sorted(maps.Keys(k.Values)) {
		v := k.Values[name]
		if r.room -= int64(len(name) + len(v.Data)); r.room < 0 {
			r.leaveOut(path, "the capture is full")
			r.room = 0
			return
		}
		out.Values = append(out.Values, regfile.Value{Name: r.scrubText(name), Type: uint32(v.Type), Data: r.scrub("", v.Data)})
	}
	r.registry = append(r.registry, out)
	for i, name := range k.Subkeys {
		below := regfile.Key{Path: r.longPath(path + `\` + name)}
		if i < len(k.SubkeysWritten) {
			below.Written = k.SubkeysWritten[i]
		}
		r.registry = append(r.registry, below)
	}
}

// longPath returns the path of a key as it is written.
func (r *Recorder) longPath(path string) string {
	root, rest, _ := strings.Cut(r.scrubText(path), `\`)
	return longRoots[root] + `\` + rest
}

// writeRegistry writes the keys, those above others first, so that the replay
// lists the subkeys of each in the order of the machine.
func (r *Recorder) writeRegistry() error {
	byDepth := map[int][]regfile.Key{}
	for _, k := range r.registry {
		depth := strings.Count(k.Path, `\`)
		byDepth[depth] = append(byDepth[depth], k)
	}
	keys := make([]regfile.Key, 0, len(r.registry))
	for _, depth := range slices.Sorted(maps.Keys(byDepth)) {
		keys = append(keys, byDepth[depth]...)
	}
	var text bytes.Buffer
	if err := regfile.Write(&text, keys); err != nil {
		return err
	}
	if text.Len() > regfile.MaxBytes {
		return fmt.Errorf("the registry of the capture has %d bytes, more than can be read again", text.Len())
	}
	return r.write(captureRegistry, text.Bytes())
}
