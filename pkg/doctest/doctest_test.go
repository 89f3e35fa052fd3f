package doctest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = "# Title\n" + // 1
	"Say `prog do --flag x`, or `other y`, `prog`, or\n`prog\nagain`.\n" + // 2
	"<!-- runs -->\n" + // 5
	"```\n" + // 6
	"prog one 'a b' \"c \\\"d\\\"\" \\\n  --e=f # prog no\n" + // 7
	"X=1 sudo prog two | gzip > prog; other && prog three\n" + // 9
	"```\n" +
	"<!-- not run: it needs a moon -->\n" +
	"```sh\n" + // 12
	"$ prog four\n" +
	"prog prints\n" +
	"```\n" +
	"```yaml\n" +
	"prog: five\n" +
	"```\n" +
	"```\nprog ──► other\n```\n"

func TestRead(t *testing.T) {
	blocks, calls, err := Read(document, []string{"prog"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Command{{Line: 7, Words: []string{"prog", "one", "a b", `c "d"`, "--e=f"}}, {Line: 9, Words: []string{"prog", "two"}}, {Line: 9, Words: []string{"prog", "three"}},
		{Line: 13, Words: []string{"prog", "four"}}, {Line: 2, Words: []string{"prog", "do", "--flag", "x"}}, {Line: 3, Words: []string{"prog", "again"}}}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
	if len(blocks) != 2 || !blocks[0].Runs || blocks[0].Line != 6 || blocks[1].Runs || blocks[1].Reason != "it needs a moon" || blocks[1].Text != "prog four\n\n" {
		t.Errorf("%+v", blocks)
	}
}

// A block that does not say whether it is run, and one that cannot be split, are
// told with their lines.
func TestReadWrong(t *testing.T) {
	for text, want := range map[string]string{
		"a\n```\nprog x\n```\n":                             "the block in line 2 says neither",
		"```\nprog x\n```\n":                                "the block in line 1 says neither",
		"<!-- runs -->\n\n```\nprog x\n```\n":               "the block in line 3 says neither",
		"<!-- not run: -->\n```\nx\n```\n":                  "the block in line 2 says neither",
		"<!-- runs -->\n```\nprog 'x\nprog y\n```\nmore ' ": "line 3: a quote has no end",
		"<!-- not run: it is never closed -->\n```\nprog x": "",
	} {
		_, _, err := Read(text, []string{"prog"})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
