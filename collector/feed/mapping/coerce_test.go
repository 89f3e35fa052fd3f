package mapping

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

func TestTimes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this machine has no time zones: ", err)
	}
	for in, want := range map[any]string{
		"2021-03-01T10:20:30Z": "2021-03-01T10:20:30Z", "2021-03-01T10:20:30.1234567Z": "2021-03-01T10:20:30.1234567Z",
		"2022-06-24 14:20:19.961496+00:00": "2022-06-24T14:20:19.961496Z", "2021-06-28T04:35:20.150": "2021-06-28T02:35:20.15Z",
		"2020-08-09 13:24:00": "2020-08-09T11:24:00Z", int64(1602345600): "2020-10-10T16:00:00Z", int64(1602345600000): "2020-10-10T16:00:00Z",
		"0001-01-01T00:00:00Z": "", "1970-01-01T00:00:00Z": "", "9999-12-31T23:59:59Z": "", "": "", "0": "", int64(0): "", nil: "", "N/A": "", "Unknown": "",
		"Thu, 19 Nov 2026 08:00:00 GMT": "2026-11-19T08:00:00Z", "2023-10-26 12:23:58.7994868": "2023-10-26T10:23:58.7994868Z",
	} {
		got, ok, err := parseTime(in, &spec{zone: berlin})
		if err != nil || ok != (want != "") || ok && got.Format(time.RFC3339Nano) != want {
			t.Errorf("%v: %v %v %v, want %q", in, got, ok, err, want)
		}
	}
	if _, _, err := parseTime("soon", &spec{zone: time.UTC}); err == nil {
		t.Error("a word was taken for a time")
	}
}

func TestMoney(t *testing.T) {
	for in, want := range map[any]string{
		"$12.58": "12.58 EUR", "1,299.00": "1299.00 EUR", "1.299,00 €": "1299.00 EUR", "£1 299": "1299 GBP", "1'299.50 CHF": "1299.50 CHF", "USD 5": "5 USD", int64(5): "5 EUR", 12.5: "12.5 EUR",
		"1,299": "1299 EUR", "12,50": "12.50 EUR", "1.234.567": "1234567 EUR", "1,234,567": "1234567 EUR", "0.00": "", "": "", nil: "", "0": "", "1\u202f299,00": "1299.00 EUR",
	} {
		m, ok, err := money(in, "EUR", nil)
		got := ""
		if ok {
			got = m.Amount + " " + m.Currency
		}
		if err != nil || got != want {
			t.Errorf("%v: %q %v, want %q", in, got, err, want)
		}
	}
	for _, bad := range []any{"free", "-5", "(12.00)", "1.2.3,4,5", []any{}} {
		if _, ok, err := money(bad, "EUR", nil); err == nil || ok {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestSerials(t *testing.T) {
	for in, want := range map[any]string{" C02 ": "C02", "To Be Filled By O.E.M.": "", "0": "", "None": "", "00042": "00042", int64(1234567890): "1234567890", "1E5": "1E5", "[REDACTED]": "", "2E+5": "2E+5"} {
		got, ok, err := serial(in, nil)
		if err != nil || ok != (want != "") || ok && got != want {
			t.Errorf("%v: %q %v %v", in, got, ok, err)
		}
	}
	for _, bad := range []any{"6.37702E+15", "6,37702E+15", 6.37702e15} {
		if _, _, err := serial(bad, nil); err == nil {
			t.Errorf("%v was taken for a serial number", bad)
		}
	}
}

func TestSwitchesHaveThreeStates(t *testing.T) {
	for in, want := range map[any]string{true: "t", "True": "t", "yes": "t", int64(1): "t", false: "f", "FALSE": "f", int64(0): "f", nil: "", "": "", "Unknown": ""} {
		v, ok, err := boolean(in, nil)
		got := ""
		if ok {
			got = map[bool]string{true: "t", false: "f"}[v]
		}
		if err != nil || got != want {
			t.Errorf("%v: %q %v", in, got, err)
		}
	}
	if _, _, err := boolean("2", nil); err == nil {
		t.Error("2 was taken for a switch")
	}
}

func FuzzCoercers(f *testing.F) {
	for _, s := range []string{"2021-03-01", "1.299,00 €", "AA-BB-CC-DD-EE-FF", "{4C4C4544-0031-3310-8052-B4C04F4E3132}", "Ann <a@b.c>", "fe80::1/64", "6.3E+15", "\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sp := &spec{zone: time.UTC}
		if at, ok, err := parseTime(s, sp); ok && err == nil && (at.Year() < 1980 || at.Year() > 2200) {
			t.Errorf("%q is the time %v", s, at)
		}
		if d, ok, err := parseDay(s, sp); ok && err == nil && len(d) != 10 {
			t.Errorf("%q is the day %q", s, d)
		}
		if m, ok, err := money(s, "EUR", nil); ok && err == nil && !amountShape.MatchString(m.Amount) {
			t.Errorf("%q is the amount %q", s, m.Amount)
		}
		if m, ok, err := mac(s, nil); ok && err == nil && len(m) != 17 {
			t.Errorf("%q is the MAC %q", s, m)
		}
		if u, ok, err := uuid(s, nil); ok && err == nil && len(u) != 36 {
			t.Errorf("%q is the UUID %q", s, u)
		}
		for _, read := range []func(any, []string) (string, bool, error){email, address, serial} {
			if v, ok, err := read(s, nil); ok && err == nil && v == "" {
				t.Errorf("%q states an empty value", s)
			}
		}
	})
}

// A setting may say which currency prices are in that name none; nothing is
// guessed without it.
func TestACurrencyFromASetting(t *testing.T) {
	m, err := manifest.Parse(strings.NewReader(strings.Replace(head, "base:", "settings: {currency: {default: \"\"}}\nbase:", 1) + `    map: {purchase.price: {path: cost, currency: "${currency}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{"": "", "chf": "CHF", "euro": "want a code like EUR"} {
		got := ""
		m, err := Compile(m.Stream(""), map[string]string{"currency": setting})
		if err != nil {
			got = err.Error()
		} else if res, err := m.Apply("acme", map[string]any{"id": "1", "cost": "12.50"}, at); err != nil || res.Observation.GetDevice().GetPurchase().GetPrice().GetAmount() != "12.50" {
			t.Errorf("%q: %v, %v", setting, res.Observation, err)
		} else {
			got = res.Observation.GetDevice().GetPurchase().GetPrice().GetCurrency()
		}
		if got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("the setting %q gives %q, want %q", setting, got, want)
		}
	}
}
