package pkgversion

import (
	"os/exec"
	"testing"

	"pgregory.net/rapid"
)

// ascending checks that every version of a list is newer than those before.
func ascending(t *testing.T, compare func(a, b string) int, versions ...string) {
	t.Helper()
	for i, a := range versions {
		for j, b := range versions {
			if got, want := sign(compare(a, b)), sign(i-j); got != want {
				t.Errorf("compare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func equal(t *testing.T, compare func(a, b string) int, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		if compare(p[0], p[1]) != 0 || compare(p[1], p[0]) != 0 {
			t.Errorf("%q and %q differ", p[0], p[1])
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestDeb(t *testing.T) {
	ascending(t, Deb, "1.0~~", "1.0~~a", "1.0~", "1.0", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-10",
		"1.0a", "1.0a1", "1.0+dfsg-1", "1.0.1", "1.9", "1.10", "2:0.1", "10:0.1")
	equal(t, Deb, [2]string{"0:1.0", "1.0"}, [2]string{"1.0-0", "1.0"}, [2]string{"1.01", "1.1"}, [2]string{"", "0"})
}

func TestRPM(t *testing.T) {
	ascending(t, RPM, "1.0~rc1", "1.0~rc2", "1.0", "1.0^git1", "1.0^git2", "1.0a", "1.0.1", "1.9-1.el9", "1.10-1.el9",
		"1.10-1.el9_2", "1.10-2.el9", "1:0.1-1", "2:0.0-1")
	ascending(t, RPM, "a", "1")
	ascending(t, RPM, "1.0~rc1^git1", "1.0")
	equal(t, RPM, [2]string{"1.0", "1.0-5"}, [2]string{"1.0", "1_0"}, [2]string{"0:1", "1"}, [2]string{"1.001", "1.1"})
}

func TestPacman(t *testing.T) {
	ascending(t, Pacman, "1.0a", "1.0b", "1.0beta", "1.0p", "1.0pre", "1.0rc", "1.0", "1.0.a", "1.0.1", "1.1", "1.10", "1:0.1")
	ascending(t, Pacman, "1.5-1", "1.5-2", "1.5.1-1", "1.5.1-1.1")
	ascending(t, Pacman, "2.0.a", "2.0..a")
	equal(t, Pacman, [2]string{"1.5", "1.5-1"}, [2]string{"0:1.0", "1.0"}, [2]string{"1.0", "1.00"})
}

func TestAPK(t *testing.T) {
	ascending(t, APK, "0.1.0_alpha_pre2", "0.1.0_alpha", "0.1.0_alpha2", "0.1.0_beta", "0.1.0_rc1", "0.1.0", "0.1.0-r1", "0.1.0-r10",
		"0.1.0_git20200101", "0.1.0_p9", "0.1.0_p10", "0.1.0_p10-r1", "0.1.0a", "0.1.0b-r2", "0.1.0.1", "0.1.1", "1.00", "1.01", "1.1", "1.9", "1.10", "10-r1")
	ascending(t, APK, "1.02.07", "1.02.10-r1", "1.07-r1", "1.07.5", "1.19")
	ascending(t, APK, "1.0.0_pre20191002222144-r0", "1.0.0_pre20210530193627-r0")
	ascending(t, APK, "2.9.28-r2", "2.9.28.1", "4_beta", "23_foo")
	equal(t, APK, [2]string{"006", "6"}, [2]string{"1.0-r1", "1.0-r1"}, [2]string{"1.0~abcdef-r1", "1.0~123456-r1"})
}

// versionLike makes strings that versions are made of.
func versionLike(chars string) *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune(chars)), 0, 10, -1)
}

func TestOrderIsAnOrder(t *testing.T) {
	for name, compare := range map[string]func(a, b string) int{"deb": Deb, "rpm": RPM, "apk": APK, "pacman": Pacman} {
		t.Run(name, func(t *testing.T) {
			v := versionLike("0019abz.~-+:_r")
			rapid.Check(t, func(t *rapid.T) {
				a, b := v.Draw(t, "a"), v.Draw(t, "b")
				if compare(a, a) != 0 {
					t.Fatalf("%q differs from itself", a)
				}
				if sign(compare(a, b)) != -sign(compare(b, a)) {
					t.Fatalf("%q against %q: %d one way, %d the other", a, b, compare(a, b), compare(b, a))
				}
			})
		})
	}
}

func TestDebIsTransitive(t *testing.T) {
	v := versionLike("0019abz.~-+")
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := v.Draw(t, "a"), v.Draw(t, "b"), v.Draw(t, "c")
		if Deb(a, b) <= 0 && Deb(b, c) <= 0 && Deb(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q, but the first is newer than the last", a, b, c)
		}
	})
}

// dpkg itself is the judge, where there is one.
func TestDebAgainstDpkg(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("no dpkg on this machine to compare with")
	}
	older := func(a, b string) bool {
		err := exec.CommandContext(t.Context(), dpkg, "--compare-versions", a, "lt", b).Run()
		return err == nil
	}
	v := rapid.Custom(func(t *rapid.T) string {
		epoch := rapid.SampledFrom([]string{"", "0:", "1:", "12:"}).Draw(t, "epoch")
		upstream := rapid.StringMatching(`[0-9][0-9a-zA-Z.+~]{0,6}`).Draw(t, "upstream")
		revision := rapid.StringMatching(`(-[0-9a-z+.~]{1,4})?`).Draw(t, "revision")
		return epoch + upstream + revision
	})
	for i := range 150 {
		a, b := v.Example(2*i), v.Example(2*i+1)
		if i%2 == 0 {
			// Versions that share a beginning are where the rules bite.
			b = a + rapid.StringMatching(`[0-9a-z+.~]{1,3}`).Example(i)
		}
		got := Deb(a, b)
		if (got < 0) != older(a, b) || (got > 0) != older(b, a) {
			t.Errorf("Deb(%q, %q) = %d, dpkg says older %v, newer %v", a, b, got, older(a, b), older(b, a))
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("1:1.0~rc1-1+b1", "1.0")
	f.Add("1.0_alpha1-r2", "1.0^git~")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, compare := range []func(a, b string) int{Deb, RPM, APK, Pacman} {
			if sign(compare(a, b)) != -sign(compare(b, a)) || compare(a, a) != 0 {
				t.Fatalf("%q and %q are not ordered", a, b)
			}
		}
	})
}
