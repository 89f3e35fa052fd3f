package table

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// column learns how a whole column is written: one 23/1/2026 tells what
// 1/2/2026 means.
type column struct {
	amounts bool
	// orders are those that fit every day so far.
	orders map[string]bool
	// comma and point are set once a value can only have that decimal mark.
	comma, point bool
	// open is set once a value was seen that can be read in two ways.
	open bool
}

func newColumn(amounts bool) *column {
	return &column{amounts: amounts, orders: map[string]bool{"ymd": true, "dmy": true, "mdy": true}}
}

var numericDay = regexp.MustCompile(`^([0-9]{1,4})[./-]([0-9]{1,2})[./-]([0-9]{1,4})$`)

// parts takes a day of numbers apart; a time of day after it is left out.
func parts(s string) (a, b, c int, ok bool) {
	day, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	m := numericDay.FindStringSubmatch(day)
	if m == nil {
		return 0, 0, 0, false
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // digits, by the expression
	}
	return n[0], n[1], n[2], true
}

func (c *column) learn(cell string) {
	if c.amounts {
		c.learnAmount(strings.TrimSpace(cell))
		return
	}
	x, y, z, ok := parts(cell)
	if !ok {
		return
	}
	c.open = true
	for order, fits := range map[string]bool{"ymd": x > 31 && month(y) && monthDay(z), "dmy": x <= 31 && monthDay(x) && month(y), "mdy": x <= 31 && month(x) && monthDay(y)} {
		if !fits {
			delete(c.orders, order)
		}
	}
}

func month(n int) bool    { return n >= 1 && n <= 12 }
func monthDay(n int) bool { return n >= 1 && n <= 31 }

// learnAmount looks at the last mark of an amount: followed by one, two or
// more than three digits it is the decimal one; by three it may group
// thousands. Of two different marks the last is the decimal one.
func (c *column) learnAmount(s string) {
	s = strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	i := strings.LastIndexAny(s, ".,")
	if i < 0 {
		return
	}
	mark, after := s[i], len(s)-i-1
	both := strings.Contains(s, ".") && strings.Contains(s, ",")
	switch {
	case !both && strings.Count(s, string(mark)) > 1:
		// It stands more than once, so it groups, and the other is the decimal one.
		c.comma, c.point = c.comma || mark == '.', c.point || mark == ','
	case both || after != 3:
		c.comma, c.point = c.comma || mark == ',', c.point || mark == '.'
	default:
		c.open = true
	}
}

// form is how a column's cells are rewritten.
type form struct {
	order   string
	decimal byte
}

// decide returns the form of a column, and what about it is open.
func (c *column) decide(m *manifest.Table) (form, string) {
	if c.amounts {
		return c.decideAmount(m)
	}
	if !c.open {
		return form{}, ""
	}
	switch {
	case len(c.orders) == 1:
		for order := range c.orders {
			return form{order: order}, ""
		}
	case len(c.orders) == 0:
		return form{}, "no order of day, month and year fits all of it"
	case c.orders[m.DayOrder]:
		return form{order: m.DayOrder}, ""
	}
	return form{}, "days like 1/2/2026 leave open which is the month: set day_order to dmy or mdy"
}

func (c *column) decideAmount(m *manifest.Table) (form, string) {
	switch {
	case c.comma && c.point:
		return form{}, "amounts have now a comma, now a point as decimal mark"
	case c.comma:
		return form{decimal: ','}, ""
	case c.point:
		return form{decimal: '.'}, ""
	case !c.open:
		return form{}, ""
	case m.Decimal == "comma":
		return form{decimal: ','}, ""
	case m.Decimal == "point":
		return form{decimal: '.'}, ""
	}
	return form{}, "amounts like 1,299 leave open whether that is more than a thousand: set decimal to point or comma"
}

// plain rewrites a cell: days as YYYY-MM-DD, amounts with a point.
func (f form) plain(cell string) string {
	switch {
	case f.decimal == ',':
		return strings.Replace(strings.ReplaceAll(cell, ".", ""), ",", ".", 1)
	case f.decimal == '.':
		return strings.ReplaceAll(cell, ",", "")
	case f.order == "":
		return cell
	}
	a, b, c, ok := parts(cell)
	if !ok {
		return cell
	}
	year, mon, day := a, b, c
	switch f.order {
	case "dmy":
		year, mon, day = c, b, a
	case "mdy":
		year, mon, day = c, a, b
	}
	return date(year, mon, day)
}

// date writes a day; two digits of a year are of 1970 to 2069.
func date(year, mon, day int) string {
	if year < 70 {
		year += 2000
	} else if year < 100 {
		year += 1900
	}
	pad := func(n, width int) string {
		s := strconv.Itoa(n)
		return strings.Repeat("0", max(0, width-len(s))) + s
	}
	return pad(year, 4) + "-" + pad(mon, 2) + "-" + pad(day, 2)
}
