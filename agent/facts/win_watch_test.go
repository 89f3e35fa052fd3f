package facts

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Programs are learnt again when the times of the keys say so, and only then.
func TestProgramsAreWatched(t *testing.T) {
	const (
		list    = `HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Uninstall`
		list32  = `HKEY_LOCAL_MACHINE\Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall`
		ofUser  = `HKEY_USERS\` + testUser + `\Software\Microsoft\Windows\CurrentVersion\Uninstall`
		monday  = "2026-01-05T08:00:00Z"
		tuesday = "2026-01-06T08:00:00Z"
	)
	at := func(key, written string, values ...string) string {
		return "\n[" + key + "]\n;written=" + written + "\n" + strings.Join(values, "\n") + "\n"
	}
	first := at(list, monday) + at(list+`\A`, monday, `"DisplayName"="A"`, `"DisplayVersion"="1"`)
	programs := slices.DeleteFunc(windowsFacts(), func(f Fact) bool { return f.Name != "programs" })
	memory := NewMemory()
	for i, step := range []struct {
		what, registry string
		kept, quiet    bool
		want           []string
	}{
		{"at first", first, false, false, []string{"A 1"}},
		{"nothing changed", first, true, false, []string{"A 1"}},
		// The list itself is not written when a program in it is upgraded.
		{"upgraded", at(list, monday) + at(list+`\A`, tuesday, `"DisplayName"="A"`, `"DisplayVersion"="2"`), false, false, []string{"A 2"}},
		{"installed", at(list, tuesday) + at(list+`\A`, tuesday, `"DisplayName"="A"`, `"DisplayVersion"="2"`) + at(list+`\B`, tuesday, `"DisplayName"="B"`), false, false, []string{"A 2", "B "}},
		{"one of 32 bits", first + at(list32, tuesday) + at(list32+`\C`, tuesday, `"DisplayName"="C"`), false, false, []string{"A 1", "C "}},
		{"removed", first, false, false, []string{"A 1"}},
		{"somebody logged on", first + at(ofUser, monday) + at(ofUser+`\U`, monday, `"DisplayName"="U"`), false, true, []string{"A 1", "U "}},
		{"still there", first + at(ofUser, monday) + at(ofUser+`\U`, monday, `"DisplayName"="U"`), true, false, []string{"A 1", "U "}},
		{"his was upgraded", first + at(ofUser, monday) + at(ofUser+`\U`, tuesday, `"DisplayName"="U"`, `"DisplayVersion"="3"`), false, true, []string{"A 1", "U 3"}},
		{"logged off", first, false, true, []string{"A 1"}},
		{"times are not known", "\n[" + list + "]\n\n[" + list + `\A]` + "\n\"DisplayName\"=\"A\"\n", false, false, []string{"A "}},
		{"still not known", "\n[" + list + "]\n\n[" + list + `\A]` + "\n\"DisplayName\"=\"A\"\n", false, true, []string{"A "}},
	} {
		h := winMachine(t, step.registry, nil)
		changed := memory.Changed(t.Context(), h, programs)
		r := Collect(t.Context(), h, Options{Facts: programs, Memory: memory})
		var got []string
		for _, s := range r.Device.GetSoftware() {
			got = append(got, s.Name+" "+s.Version)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: programs (-want +got):\n%s", step.what, diff)
		}
		if kept := !r.Costs[0].KeptSince.IsZero(); kept != step.kept {
			t.Errorf("%s: kept %v, want %v", step.what, kept, step.kept)
		}
		// What changes of people's own does not have the machine read.
		if want := i > 0 && !step.kept && !step.quiet; changed != want {
			t.Errorf("%s: changed %v, want %v", step.what, changed, want)
		}
	}
}
