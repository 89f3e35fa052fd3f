package archtest

import (
	"os"
	"testing"
)

// These tests are the rules at work on this repository; that each rule can
// fail is shown in rules_test.go.

func root(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root, err := Root(here)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func report(t *testing.T, broken []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range broken {
		t.Error(b)
	}
}

func TestImports(t *testing.T) {
	packages, err := Packages(root(t))
	if err != nil {
		t.Fatal(err)
	}
	report(t, CheckImports(Rooms, Guests, packages), nil)
}

func TestSource(t *testing.T) {
	broken, err := CheckSource(os.DirFS(root(t)), Source)
	report(t, broken, err)
}

func TestLicences(t *testing.T) {
	broken, err := CheckLicences(root(t))
	report(t, broken, err)
}
