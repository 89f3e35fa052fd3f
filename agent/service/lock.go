package service

import (
	"errors"
	"fmt"
)

// ErrInUse is returned where another agent has the state folder.
var ErrInUse = errors.New("another agent is using the state folder: stop it, or give this one another --state-dir")

func inUse(dir string) error { return fmt.Errorf("%s: %w", dir, ErrInUse) }
