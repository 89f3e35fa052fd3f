package mapping

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds one text, in bytes; the catalog keeps up to 8 KiB.
const maxText = 4 << 10

// clean makes a text fit to keep: valid UTF-8 without control characters and
// without blanks around it.
func clean(s string) (string, error) {
	if len(s) > maxText {
		return "", fmt.Errorf("a text of %d bytes, at most %d are kept", len(s), maxText)
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' }), nil
}

// text reads a value as text; ok is false where it states nothing.
func text(v any, none []string) (s string, ok bool, err error) {
	switch v := v.(type) {
	case nil:
		return "", false, nil
	case string:
		s = v
	case int64:
		s = strconv.FormatInt(v, 10)
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		s = strconv.FormatBool(v)
	default:
		return "", false, fmt.Errorf("want a single value, got %s", shape(v))
	}
	if s, err = clean(s); err != nil {
		return "", false, err
	}
	return s, !nothing(s, none), nil
}

// shape names the kind of a value for a message.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case string:
		if utf8.RuneCountInString(v) > 40 {
			v = string([]rune(v)[:40]) + "..."
		}
		return strconv.Quote(v)
	}
	return fmt.Sprint(v)
}

// Words that systems write for true and false.
var switches = map[string]bool{
	"true": true, "yes": true, "y": true, "1": true, "on": true, "enabled": true,
	"false": false, "no": false, "n": false, "0": false, "off": false, "disabled": false,
}

// boolean reads a switch of three states: true, false, and not stated.
func boolean(v any, none []string) (value, ok bool, err error) {
	if b, is := v.(bool); is {
		return b, true, nil
	}
	s, ok, err := text(v, none)
	if err != nil || !ok {
		return false, false, err
	}
	value, known := switches[strings.ToLower(s)]
	if !known {
		return false, false, fmt.Errorf("want true or false, got %s", shape(v))
	}
	return value, true, nil
}

// units are factors to bytes, or to MHz.
var units = map[string]float64{
	"": 1, "kB": 1e3, "KiB": 1 << 10, "MB": 1e6, "MiB": 1 << 20, "GB": 1e9, "GiB": 1 << 30, "TB": 1e12, "TiB": 1 << 40, "MHz": 1, "GHz": 1000,
}

// decimal reads a number, whether it is one or is written as text.
func decimal(v any, none []string) (f float64, ok bool, err error) {
	switch v := v.(type) {
	case int64:
		return float64(v), true, nil
	case float64:
		return v, true, nil
	}
	s, ok, err := text(v, none)
	if err != nil || !ok {
		return 0, false, err
	}
	f, err = strconv.ParseFloat(strings.ReplaceAll(s, " ", ""), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false, fmt.Errorf("want a number, got %s", shape(v))
	}
	return f, true, nil
}

// whole reads a whole number in a unit.
func whole(v any, unit string, none []string) (n int64, ok bool, err error) {
	if i, is := v.(int64); is && unit == "" {
		return i, true, nil
	}
	if s, is := v.(string); is && unit == "" {
		if n, err = strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
			return n, true, nil
		}
	}
	f, ok, err := decimal(v, none)
	if err != nil || !ok {
		return 0, false, err
	}
	f = math.Round(f * units[unit])
	if math.Abs(f) > 1<<62 {
		return 0, false, fmt.Errorf("%s is too large", shape(v))
	}
	return int64(f), true, nil
}

// mac reads a hardware address in any of its spellings; that of no interface
// (all zeros or all ones) states nothing.
func mac(v any, none []string) (string, bool, error) {
	s, ok, err := text(v, none)
	if err != nil || !ok {
		return "", false, err
	}
	digits := strings.Map(func(r rune) rune {
		if r == ':' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, s)
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 6 {
		return "", false, fmt.Errorf("want a MAC address, got %s", shape(v))
	}
	if h := hex.EncodeToString(b); h == "000000000000" || h == "ffffffffffff" {
		return "", false, nil
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]), true, nil
}

// uuid reads a UUID with or without hyphens and braces.
func uuid(v any, none []string) (string, bool, error) {
	s, ok, err := text(v, none)
	if err != nil || !ok {
		return "", false, err
	}
	b, err := hex.DecodeString(strings.NewReplacer("-", "", "{", "", "}", "", " ", "").Replace(s))
	if err != nil || len(b) != 16 {
		return "", false, fmt.Errorf("want a UUID, got %s", shape(v))
	}
	if h := hex.EncodeToString(b); strings.Trim(h, "0") == "" || strings.Trim(h, "f") == "" {
		return "", false, nil
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), true, nil
}

// email reads an address of e-mail, or a user principal name, in lower case.
// A user's name without a domain is no address and states nothing here.
func email(v any, none []string) (string, bool, error) {
	s, ok, err := text(v, none)
	if err != nil || !ok || !strings.Contains(s, "@") {
		return "", false, err
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		return "", false, fmt.Errorf("want an e-mail address, got %s", shape(v))
	}
	return strings.ToLower(a.Address), true, nil
}

// address reads an IP address; that of no host states nothing.
func address(v any, none []string) (string, bool, error) {
	s, ok, err := text(v, none)
	if err != nil || !ok {
		return "", false, err
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.String(), true, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", false, fmt.Errorf("want an IP address, got %s", shape(v))
	}
	if a.IsUnspecified() {
		return "", false, nil
	}
	return a.String(), true, nil
}

// prefix reads an address in CIDR notation; one without a length is itself
// alone.
func prefix(v any, none []string) (string, bool, error) {
	s, ok, err := address(v, none)
	if err != nil || !ok || strings.Contains(s, "/") {
		return s, ok, err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", false, fmt.Errorf("want an IP address, got %s", shape(v))
	}
	return netip.PrefixFrom(a.WithZone(""), a.BitLen()).String(), true, nil
}

// serials that firmware and spreadsheets leave where there is none; those that
// some maker wrote into many machines are identity's matter.
var noSerials = []string{"0", "to be filled by o.e.m.", "system serial number", "default string", "default", "not available", "serial number", "invalid", "nan", "blank"}

// serial reads a serial number. One that a spreadsheet took for a number has
// lost digits, and nothing brings them back.
func serial(v any, none []string) (string, bool, error) {
	s, ok, err := text(v, append(noSerials, none...))
	if err != nil || !ok {
		return "", false, err
	}
	if _, isFloat := v.(float64); isFloat || spreadsheet(s) {
		return "", false, fmt.Errorf("%s is a serial number that a spreadsheet rounded: its digits are lost, export the column as text", shape(v))
	}
	return s, true, nil
}

// spreadsheet tells of a number in scientific notation, as Excel writes long
// ones: 6.37702E+15.
func spreadsheet(s string) bool {
	i := strings.IndexAny(s, "eE")
	if i < 3 || i+1 >= len(s) || (s[i+1] != '+' && s[i+1] != '-') || !strings.ContainsAny(s[:i], ".,") {
		return false
	}
	_, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	return err == nil
}
