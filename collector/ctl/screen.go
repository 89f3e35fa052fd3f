package main

import (
	"strconv"
	"strings"

	"golang.org/x/term"
)

// screen is what the output is shown on. The zero value is a file or a pipe, where
// everything is written in full and nothing but text.
type screen struct {
	// columns is its width; 0 is any.
	columns int
	// colours says that it shows them.
	colours bool
}

// screenOf returns the screen behind a descriptor. COLUMNS tells its width where
// the terminal's own is not meant; NO_COLOR and TERM=dumb that it shows no colours
// (https://no-color.org), nor does a console of Windows that says nothing of
// understanding escape sequences.
func screenOf(getenv func(string) string, goos string, fd int) screen {
	if !term.IsTerminal(fd) {
		return screen{}
	}
	s := screen{colours: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
	if goos == "windows" && getenv("WT_SESSION") == "" && getenv("TERM") == "" && getenv("ConEmuANSI") != "ON" {
		s.colours = false
	}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil && n > 0 {
		s.columns = n
	} else if n, _, err := term.GetSize(fd); err == nil {
		s.columns = n
	}
	return s
}

// style is how a text stands out: the number of an SGR sequence (ECMA-48, 8.3.117).
type style string

const (
	plain  style = ""
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// paint returns a text in a style.
func (s screen) paint(as style, text string) string {
	if !s.colours || as == plain || text == "" {
		return text
	}
	return "\x1b[" + string(as) + "m" + text + "\x1b[0m"
}

// colourOf returns how a cell stands out: what needs a look, in the columns of
// which the words are known.
func colourOf(title, cell string) style {
	word, _, _ := strings.Cut(cell, " ")
	switch title {
	case "SEVERITY":
		switch word {
		case "critical", "high":
			return red
		case "medium":
			return yellow
		}
	case "STATE":
		switch word {
		case "failing", "broken", "conflict", "open":
			return red
		case "paused", "expired", "revoked", "waived", "acknowledged":
			return yellow
		case "ok", "valid", "enrolled", "resolved":
			return green
		}
	}
	return plain
}
