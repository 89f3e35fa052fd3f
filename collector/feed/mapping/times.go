package mapping

import (
	"fmt"
	"strings"
	"time"
)

// layouts are the forms in which systems write times, with the zone of a
// manifest where they name none. Go takes any number of fraction digits after
// the seconds.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04Z07:00", "2006-01-02",
	time.RFC1123Z, time.RFC1123, "Jan 2, 2006 3:04:05 PM", "Jan 2 2006 15:04:05", "1/2/2006 3:04:05 PM", "1/2/2006 15:04:05",
}

// parseTime reads a time; ok is false where it states none.
func parseTime(v any, f *spec) (t time.Time, ok bool, err error) {
	switch f.as {
	case "unix", "unix_ms":
		n, ok, err := whole(v, "", f.none)
		if err != nil || !ok {
			return t, false, err
		}
		if t = time.UnixMilli(n); f.as == "unix" {
			t = time.Unix(n, 0)
		}
		return t.UTC(), !noTime(t), nil
	}
	if n, is := v.(int64); is {
		return fromNumber(n)
	}
	s, ok, err := text(v, f.none)
	if err != nil || !ok || s == "0" {
		return t, false, err
	}
	for _, all := range [][]string{f.layouts, layouts} {
		for _, layout := range all {
			if t, err = time.ParseInLocation(layout, s, f.zone); err == nil {
				return t.UTC(), !noTime(t), nil
			}
		}
	}
	return t, false, fmt.Errorf("want a time, got %s: name its form under layouts", shape(v))
}

// fromNumber reads seconds or milliseconds since 1970: no time of interest is
// both.
func fromNumber(n int64) (time.Time, bool, error) {
	t := time.Unix(n, 0)
	if n > 1e11 {
		t = time.UnixMilli(n)
	}
	return t.UTC(), !noTime(t), nil
}

// Orders of day, month and year; four digits of a year are told from two.
var dayOrders = map[string][]string{
	"ymd": {"2006-1-2", "2006/1/2", "2006.1.2", "20060102"},
	"dmy": {"2.1.2006", "2/1/2006", "2-1-2006", "2.1.06", "2/1/06", "2-1-06"},
	"mdy": {"1/2/2006", "1-2-2006", "1.2.2006", "1/2/06", "1-2-06"},
}

// namedDays are unambiguous whatever the order.
var namedDays = []string{"2 Jan 2006", "2-Jan-2006", "2-Jan-06", "Jan 2, 2006", "January 2, 2006", "2 January 2006", "2. January 2006"}

// ParseDay reads a day by an order of day, month and year (ymd, dmy or mdy).
func ParseDay(s, order string) (time.Time, bool) {
	for _, layout := range dayOrders[order] {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseDay reads a day, as YYYY-MM-DD.
func parseDay(v any, f *spec) (string, bool, error) {
	s, ok, err := text(v, f.none)
	if err != nil || !ok || s == "0" {
		return "", false, err
	}
	if t, ok := ParseDay(s, "ymd"); ok {
		return day(t)
	}
	for _, layout := range append(append([]string{}, f.layouts...), namedDays...) {
		if t, err := time.Parse(layout, s); err == nil {
			return day(t)
		}
	}
	t, ok, err := parseTime(v, f)
	if err != nil {
		return "", false, fmt.Errorf("want a day, got %s: name its form under layouts", shape(v))
	}
	if !ok {
		return "", false, nil
	}
	// A time of day without a zone, or at midnight there, is a day of that zone.
	return day(t.In(f.zone))
}

func day(t time.Time) (string, bool, error) {
	if noTime(t) {
		return "", false, nil
	}
	return strings.Clone(t.Format(time.DateOnly)), true, nil
}

// Time reads a time as fields do that name no layout, in UTC where it has no
// zone.
func Time(v any) (time.Time, bool) {
	t, ok, err := parseTime(v, &spec{zone: time.UTC})
	return t, ok && err == nil
}
