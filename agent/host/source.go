package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// source answers what a machine is asked beside its files: the machine itself,
// a recording of it, or what records the one while it asks the other.
type source interface {
	// answer gives what the kernel says; question asks the one of this machine.
	// A recording answers with json.RawMessage.
	answer(what string, question func() (any, error)) (any, error)
	registryKey(path string) (*RegistryKey, error)
	run(ctx context.Context, c Command) ([]byte, error)
	query(ctx context.Context, q Query) ([]Row, error)
	smbios(ctx context.Context) ([]byte, error)
}

// errNotRunning is the answer of a machine of which there are files only.
var errNotRunning = fmt.Errorf("the machine is not running here: %w", errors.ErrUnsupported)

// ask runs a question to the machine's kernel.
func ask[T any](h *Host, what string, question func() (T, error)) (T, error) {
	var none T
	if h.source == nil {
		return none, fmt.Errorf("ask for %s: %w", what, errNotRunning)
	}
	a, err := h.source.answer(what, func() (any, error) { return question() })
	if err != nil {
		return none, fmt.Errorf("ask for %s: %w", what, err)
	}
	switch a := a.(type) {
	case T:
		return a, nil
	case json.RawMessage:
		if err := json.Unmarshal(a, &none); err != nil {
			return none, fmt.Errorf("ask the capture for %s: %w", what, err)
		}
	}
	return none, nil
}

// thisMachine is the source of a live host.
type thisMachine struct {
	// hanging has the names of queries that run, also after they were given up
	// on.
	hanging sync.Map
}

func (*thisMachine) answer(_ string, question func() (any, error)) (any, error) { return question() }

func (*thisMachine) registryKey(path string) (*RegistryKey, error) { return readRegistryKey(path) }

func (*thisMachine) run(ctx context.Context, c Command) ([]byte, error) { return execute(ctx, c) }

func (m *thisMachine) query(ctx context.Context, q Query) ([]Row, error) {
	return queryMachine(ctx, q, &m.hanging)
}

func (*thisMachine) smbios(context.Context) ([]byte, error) { return firmwareTable() }
