package main

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// sheet is a record as a person reads it: named values under headings.
type sheet struct {
	lines []line
}

// line is a heading where it has no value.
type line struct{ name, value string }

func (s *sheet) heading(title string) { s.lines = append(s.lines, line{name: clean(title)}) }

// row adds a value, unless it is empty.
func (s *sheet) row(name, value string) {
	if value = clean(value); value != "" {
		s.lines = append(s.lines, line{clean(name), value})
	}
}

// narrowest is the least width of values that are folded.
const narrowest = 20

// write prints the sheet, without headings that nothing stands under. A value that
// is wider than the screen is folded under itself, so that nothing of it is lost.
func (s *sheet) write(w io.Writer, on screen) {
	wide := 0
	for _, l := range s.lines {
		if l.value != "" {
			wide = max(wide, cells(l.name))
		}
	}
	for i, l := range s.lines {
		switch {
		case l.value != "":
			for n, part := range fold(l.value, on.columns-wide-len(gap)) {
				if n > 0 {
					l.name = ""
				}
				fmt.Fprintf(w, "%s%s%s%s\n", l.name, strings.Repeat(" ", wide-cells(l.name)), gap, part)
			}
		case i+1 < len(s.lines) && s.lines[i+1].value != "":
			fmt.Fprintf(w, "\n%s\n", on.paint(bold, strings.ToUpper(l.name)))
		}
	}
}

// fold breaks a text into lines of a width, between words where it can; the whole
// is one line on a screen that is too narrow for that, or has no width.
func fold(text string, to int) []string {
	if to < narrowest || cells(text) <= to {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && cells(line)+1+cells(word) <= to {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; cells(line) > to; {
			head := line[:len(cutAt(line, to))]
			lines, line = append(lines, head), line[len(head):]
		}
	}
	return append(lines, line)
}

// show prints an asset and what its sources left out. host is the name of the
// machine that it is attached to.
func (s *session) show(a *pb.Asset, host string, states []*adminpb.SourceState) {
	sh := new(sheet)
	sh.row("Name", a.GetName())
	sh.row("ID", a.GetId())
	sh.row("Class", a.GetClass())
	sh.row("Stage", a.GetStage())
	sh.row("Owner", phrase(a.GetOwner().GetName(), a.GetOwner().GetEmail(), a.GetOwner().GetDepartment()))
	sh.row("User", phrase(a.GetPrimaryUser().GetName(), a.GetPrimaryUser().GetEmail()))
	sh.row("Location", list(a.GetLocation().GetSite(), a.GetLocation().GetBuilding(), a.GetLocation().GetRoom(), a.GetLocation().GetCity(), a.GetLocation().GetCountry()))
	sh.row("Labels", pairs(a.GetLabels()))
	sh.row("Formerly", list(a.GetRedirects()...))
	sh.row("Ordered", phrase(a.GetPurchase().GetOrderedAt(), a.GetPurchase().GetVendor()))
	sh.row("Warranty ends", a.GetWarranty().GetEnd())
	if to := a.GetAttachedTo(); to != nil {
		sh.row("Attached to", list(or(host, to.GetAssetId()), s.listed(to.GetListed(), to.GetLastListedAt())))
	}
	sh.row("First seen", s.ago(a.GetFirstSeen()))
	sh.row("Last seen", s.ago(a.GetLastSeen()))
	sh.row("Software", number(a.SoftwareCount, "titles"))
	sh.hardware(a.GetHardware())
	sh.heading("Attached")
	for _, t := range a.GetAttached() {
		sh.row(t.GetClass(), list(t.GetName(), t.GetAssetId(), s.listed(t.GetListed(), t.GetLastListedAt())))
	}
	s.showOS(sh, a.GetOs())
	sh.network(a.GetNetwork())
	sh.storage(a.GetStorage())
	s.showPatch(sh, a.GetPatch())
	sh.security(a.GetSecurity())
	s.showSources(sh, a, states)
	s.sheet(sh)
}

// listed tells whether a machine has a peripheral still.
func (s *session) listed(now bool, last *timestamppb.Timestamp) string {
	if now {
		return "seen " + s.ago(last)
	}
	return "unplugged, last seen " + s.ago(last)
}
