package mapping

import (
	"fmt"
	"regexp"
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// signs are the currency signs that mean one currency only; that of the dollar
// is shared by many, and a feed must say which it means.
var signs = map[string]string{"€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "₪": "ILS", "₺": "TRY", "₫": "VND", "₽": "RUB", "zł": "PLN", "R$": "BRL", "US$": "USD", "CA$": "CAD", "A$": "AUD", "CHF": "CHF"}

var (
	amountShape = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	codeShape   = regexp.MustCompile(`^[A-Z]{3}$`)
	// amountParts takes a number apart from what stands before and after it.
	amountParts = regexp.MustCompile(`^([^0-9+\-(]*)([(\-+]?[0-9][0-9.,'\x{a0}\x{202f} ]*\)?)([^0-9]*)$`)
)

// money reads an amount, with the currency that it names or otherwise the one
// that is given. A price of nothing states none.
func money(v any, currency string, none []string) (*pb.Money, bool, error) {
	s, ok, err := text(v, none)
	if err != nil || !ok {
		return nil, false, err
	}
	parts := amountParts.FindStringSubmatch(s)
	if parts == nil {
		return nil, false, fmt.Errorf("want an amount of money, got %s", shape(v))
	}
	number := strings.TrimSpace(parts[2])
	if strings.HasPrefix(number, "-") || strings.HasPrefix(number, "(") {
		return nil, false, fmt.Errorf("want what was paid, got the negative %s", shape(v))
	}
	amount, ok := plainAmount(strings.TrimPrefix(number, "+"))
	if !ok {
		return nil, false, fmt.Errorf("want an amount of money, got %s", shape(v))
	}
	if strings.Trim(amount, "0.") == "" {
		return nil, false, nil
	}
	return &pb.Money{Amount: amount, Currency: currencyOf(parts[1], parts[3], currency)}, true, nil
}

// currencyOf names the currency of the words around a number.
func currencyOf(before, after, otherwise string) string {
	for _, s := range []string{strings.TrimSpace(before), strings.TrimSpace(after)} {
		if code := strings.ToUpper(s); codeShape.MatchString(code) {
			return code
		}
		if code, ok := signs[s]; ok {
			return code
		}
	}
	return otherwise
}

// plainAmount writes a number with a point and no grouping. Of several marks
// the last is the decimal one; a single mark before exactly three digits groups
// thousands where it is a comma, as it does in every export seen.
func plainAmount(s string) (string, bool) {
	s = strings.NewReplacer(" ", "", "'", "", "\u00a0", "", "\u202f", "").Replace(s)
	comma, point := strings.LastIndexByte(s, ','), strings.LastIndexByte(s, '.')
	switch {
	case comma >= 0 && point >= 0 && comma > point:
		s = strings.Replace(strings.ReplaceAll(s, ".", ""), ",", ".", 1)
	case comma >= 0 && point >= 0, strings.Count(s, ",") > 1, comma >= 0 && len(s)-comma == 4 && comma <= 3 && s[0] != '0':
		s = strings.ReplaceAll(s, ",", "")
	case strings.Count(s, ".") > 1:
		s = strings.ReplaceAll(s, ".", "")
	case comma >= 0:
		s = strings.Replace(s, ",", ".", 1)
	}
	return s, amountShape.MatchString(s)
}
