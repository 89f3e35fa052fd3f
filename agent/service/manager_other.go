//go:build !windows

package service

import "github.com/kardianos/service"

// runManaged runs the work until the manager, or the end of the work, stops it.
func runManaged(s service.Service, _ *program) error { return s.Run() }

// refuse tells nobody: what started the program sees that it ends.
func refuse(*program) error { return nil }

// install hands the service to its manager.
func install(s service.Service, _ *service.Config) error { return service.Control(s, "install") }
