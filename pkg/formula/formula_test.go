package formula

import "testing"

func TestText(t *testing.T) {
	for give, want := range map[string]string{
		"": "", "ann": "ann", "=1+1": "'=1+1", "+49 30": "'+49 30", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r": "'\r", "\n=1": "'\n=1",
		"＝1": "'＝1", "＠x": "'＠x", "a=1": "a=1", "'=1": "'=1", "\xff=": "\xff=", "ä": "ä",
	} {
		if got := Text(give); got != want {
			t.Errorf("Text(%q) = %q, want %q", give, got, want)
		}
	}
}
