package workbook

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// format is how a cell's number is meant.
type format struct {
	// day is set where the number counts days.
	day bool
	// digits is the width to which zeros fill a number, as 00000 does with
	// inventory numbers.
	digits int
}

// readStyles reads what the styles of cells say of their numbers.
func (w *Workbook) readStyles(part string) error {
	custom := make(map[int]string)
	within := ""
	return w.walk(part, maxPart, func(_ *tokens, e xml.StartElement) error {
		switch e.Name.Local {
		case "numFmt":
			id, err := strconv.Atoi(attribute(e, "numFmtId"))
			if err == nil && within != "dxfs" && len(custom) < maxParts {
				custom[id] = attribute(e, "formatCode")
			}
		case "cellStyleXfs", "cellXfs", "dxfs":
			within = e.Name.Local
		case "xf":
			if within != "cellXfs" {
				return nil
			}
			id, err := strconv.Atoi(attribute(e, "numFmtId"))
			if err != nil {
				id = 0
			}
			w.styles = append(w.styles, formatOf(id, custom[id]))
		}
		return nil
	})
}

// formatOf reads a format: one of those that Excel has built in (ECMA-376 part
// 1, 18.8.30), or a code.
func formatOf(id int, code string) format {
	if code == "" {
		return format{day: id >= 14 && id <= 22 || id >= 27 && id <= 36 || id >= 45 && id <= 47 || id >= 50 && id <= 58}
	}
	code = literal.ReplaceAllString(code, "")
	code, _, _ = strings.Cut(code, ";")
	if strings.Trim(code, "0") == "" {
		return format{digits: len(code)}
	}
	return format{day: !strings.EqualFold(code, "general") && strings.ContainsAny(strings.ToLower(code), "dmyhs")}
}

// literal is what a code shows as it stands, and what it says of colours and
// locales.
var literal = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\\.|_.|\*.`)

// number writes a cell's number.
func (w *Workbook) number(raw string, style int) string {
	var f format
	if style >= 0 && style < len(w.styles) {
		f = w.styles[style]
	}
	v, err := strconv.ParseFloat(raw, 64)
	if err != nil {
		return raw
	}
	if f.day {
		if s, ok := w.moment(v); ok {
			return s
		}
	}
	s := plain(v)
	if pad := f.digits - len(s); pad > 0 && f.digits < 64 && strings.Trim(s, "0123456789") == "" {
		s = strings.Repeat("0", pad) + s
	}
	return s
}

// plain writes a number as Excel knows it: with 15 digits. One that is longer
// has lost its end, and is written so that this can be seen.
func plain(v float64) string {
	const exact = 1e15
	if v >= exact || v <= -exact {
		return strconv.FormatFloat(v, 'E', -1, 64)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// moment writes a count of days as a day, or with its time where it has one.
// What Excel itself does not show as a day is none.
func (w *Workbook) moment(days float64) (string, bool) {
	const (
		last    = 2_958_466 // the day after 9999-12-31
		seconds = 24 * 60 * 60
	)
	if !(days >= 0 && days < last) {
		return "", false
	}
	// Excel takes 1900 for a leap year: only from March 1900 on do its days agree
	// with the calendar counted from here.
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if w.from1904 {
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	whole := int(days)
	rest := int((days-float64(whole))*seconds + 0.5)
	t := epoch.AddDate(0, 0, whole).Add(time.Duration(rest) * time.Second)
	switch {
	case whole == 0 && !w.from1904:
		return t.Format(time.TimeOnly), true
	case rest == 0:
		return t.Format(time.DateOnly), true
	}
	return t.Format("2006-01-02T15:04:05"), true
}

// readTexts reads the texts that the cells of all sheets share.
func (w *Workbook) readTexts(part string) error {
	bytes := 0
	return w.walk(part, 4*maxTexts, func(t *tokens, e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		// How a text is pronounced is no part of it.
		s, err := t.text("rPh")
		if err != nil {
			return err
		}
		// A text takes the space of its header too.
		if bytes += len(s) + 16; bytes > maxTexts {
			return fmt.Errorf("its texts have more than %d bytes", maxTexts)
		}
		w.texts = append(w.texts, unescape(s))
		return nil
	})
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape undoes how characters are written that XML cannot hold.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escaped.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[2:6], 16, 16)
		if err != nil {
			return m
		}
		return string(rune(n))
	})
}
