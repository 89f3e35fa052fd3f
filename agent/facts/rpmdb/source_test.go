package rpmdb

import "testing"

func TestSource(t *testing.T) {
	for _, tc := range [][3]string{
		{"bash-5.1.8-6.el9.src.rpm", "bash", "5.1.8-6.el9"},
		{"python3.11-3.11.2-2.el8.src.rpm", "python3.11", "3.11.2-2.el8"},
		{"kernel-azure-5.14.21-150500.33.1.nosrc.rpm", "kernel-azure", "5.14.21-150500.33.1"},
		{"(none)", "", ""}, {"", "", ""}, {"a-1.src.rpm", "", ""}, {"-1-2.src.rpm", "", ""}, {"bash-5.1.8-6.el9.x86_64.rpm", "", ""},
	} {
		if name, version := (Package{SourceRPM: tc[0]}).Source(); name != tc[1] || version != tc[2] {
			t.Errorf("%q is of %q %q, want %q %q", tc[0], name, version, tc[1], tc[2])
		}
	}
}
