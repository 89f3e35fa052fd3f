package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// print prints a message in the format that was asked for; table prints it for
// people.
func (a *app) print(m proto.Message, table func() error) error {
	if a.format == "table" {
		return table()
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true, Multiline: true, Indent: "  "}.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	if a.format == "yaml" {
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		if b, err = yaml.Marshal(v); err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
	}
	_, err = fmt.Fprintln(a.out, strings.TrimRight(string(b), "\n"))
	return err
}

// terminalWidth returns the columns of the terminal, or 0 for no limit where
// the output goes elsewhere.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// table prints rows under a heading. Where the terminal is too narrow, the
// first column's text is cut.
func (a *app) table(heading []string, rows [][]string) error {
	all := append([][]string{heading}, rows...)
	widths := make([]int, len(heading))
	for _, row := range all {
		for i := range row {
			row[i] = plain(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	// The widest text columns give way, the last one, which is an id, never.
	for a.width > 0 && total > a.width {
		widest := 0
		for i := range widths[:len(widths)-1] {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= 8 {
			break
		}
		widths[widest]--
		total--
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	for _, row := range all {
		for i := range row {
			row[i] = cut(row[i], widths[i])
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "…"
}

// plain takes away what could move the cursor or colour the terminal: names
// come from devices, and devices may be hostile.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}

func (a *app) ago(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return humanize.RelTime(t.AsTime(), a.now.Add(time.Second), "ago", "from now")
}

func size(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return humanize.IBytes(uint64(bytes))
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
