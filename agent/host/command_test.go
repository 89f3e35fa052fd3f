package host

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// What is on the lists is run by its absolute path, and its name can be that of
// a file in a capture.
func TestLists(t *testing.T) {
	plain := regexp.MustCompile(`^[a-z0-9_]+$`)
	names := map[string]bool{}
	for _, c := range Commands() {
		if !plain.MatchString(c.Name) || names[c.Name] {
			t.Errorf("command %q: the name is taken or none", c.Name)
		}
		names[c.Name] = true
		absolute := strings.HasPrefix(c.Argv[0], "/")
		if c.OS == "windows" {
			absolute = strings.HasPrefix(c.Argv[0], `%SystemRoot%\`)
		}
		if !absolute || !slices.Contains(systems, c.OS) {
			t.Errorf("command %s: %q on %q", c.Name, c.Argv, c.OS)
		}
	}
	if len(names) == 0 {
		t.Error("no commands")
	}
	clear(names)
	for _, q := range Queries() {
		if !plain.MatchString(q.Name) || names[q.Name] {
			t.Errorf("query %q: the name is taken or none", q.Name)
		}
		names[q.Name] = true
		if q.Namespace == "" {
			t.Errorf("query %s has no namespace", q.Name)
		}
	}
	if len(names) == 0 {
		t.Error("no queries")
	}
}

func TestExecute(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands of this test are those of a shell")
	}
	sh := func(text string) []string { return []string{"/bin/sh", "-c", text} }
	for _, c := range []struct {
		name    string
		command Command
		out     string
		err     string
		is      error
	}{
		{"output", Command{Argv: sh("echo one; echo noise >&2")}, "one\n", "", nil},
		{"one language, nothing inherited", Command{Argv: sh("echo $LC_ALL $HOME $ROLLCALL_TEST_SECRET")}, "C /var/empty\n", "", nil},
		{"failure keeps the output", Command{Argv: sh("echo half; echo no such thing >&2; exit 3")}, "half\n", "exit status 3: no such thing", nil},
		{"too long", Command{Argv: sh("echo 123456789; exec sleep 60"), MaxBytes: 4}, "1234", "more than 4 bytes of output", nil},
		{"hangs", Command{Argv: sh("echo begun; exec sleep 60"), Timeout: 50 * time.Millisecond}, "begun\n", "stopped after 50ms", context.DeadlineExceeded},
		{"missing", Command{Argv: []string{"/nonexistent/program"}}, "", "no such file", fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("ROLLCALL_TEST_SECRET", "x")
			begin := time.Now()
			out, err := execute(t.Context(), c.command)
			if string(out) != c.out && c.name != "hangs" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q, %v", out, err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v is no %v", err, c.is)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestWhatIsNotOnTheLists(t *testing.T) {
	h := Live()
	if _, err := h.Run(t.Context(), "sh"); err == nil || !strings.Contains(err.Error(), "not on the list") {
		t.Errorf("a command that is not listed: %v", err)
	}
	if _, err := h.Query(t.Context(), "select"); err == nil || !strings.Contains(err.Error(), "not on the list") {
		t.Errorf("a query that is not listed: %v", err)
	}
	if _, err := h.RegistryKey(`HKCR\x`); err == nil || !strings.Contains(err.Error(), "neither HKLM nor HKU") {
		t.Errorf("another root: %v", err)
	}
	other := &Host{FS: fstest.MapFS{}, OS: "linux"}
	_, run := other.Run(t.Context(), Commands()[0].Name)
	_, query := other.Query(t.Context(), Queries()[0].Name)
	_, key := other.RegistryKey(`HKLM\SOFTWARE`)
	_, table := other.SMBIOS(t.Context())
	for _, err := range []error{run, query, key, table} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a machine of files only: %v", err)
		}
	}
}

func TestRegistryValues(t *testing.T) {
	text := func(s string) []byte {
		var out []byte
		for _, c := range s {
			out = append(out, byte(c), byte(c>>8))
		}
		return out
	}
	for _, c := range []struct {
		value   RegistryValue
		text    string
		isText  bool
		number  uint64
		isNum   bool
		strings []string
		isList  bool
	}{
		{value: RegistryValue{RegistryString, text("Müller\x00")}, text: "Müller", isText: true},
		{value: RegistryValue{RegistryExpandString, text("%A%")}, text: "%A%", isText: true},
		{value: RegistryValue{RegistryString, text("a\x00b")}, text: "a", isText: true},
		{value: RegistryValue{RegistryString, []byte{'a', 0, 'b'}}, text: "a", isText: true},
		{value: RegistryValue{RegistryString, nil}, isText: true},
		{value: RegistryValue{RegistryDWord, []byte{1, 2, 0, 0}}, number: 513, isNum: true},
		{value: RegistryValue{RegistryBigEndian, []byte{0, 0, 2, 1}}, number: 513, isNum: true},
		{value: RegistryValue{RegistryQWord, []byte{1, 0, 0, 0, 0, 0, 0, 1}}, number: 1<<56 + 1, isNum: true},
		{value: RegistryValue{RegistryDWord, []byte{1}}},
		{value: RegistryValue{RegistryQWord, []byte{1, 2, 3, 4}}},
		{value: RegistryValue{RegistryMultiString, text("a\x00b\x00\x00rest")}, strings: []string{"a", "b"}, isList: true},
		{value: RegistryValue{RegistryMultiString, nil}, isList: true},
		{value: RegistryValue{RegistryBinary, []byte{1, 2, 3, 4}}},
	} {
		s, ok := c.value.Text()
		n, isNum := c.value.Integer()
		l, isList := c.value.Strings()
		if s != c.text || ok != c.isText || n != c.number || isNum != c.isNum || !slices.Equal(l, c.strings) || isList != c.isList {
			t.Errorf("%v: %q %v, %d %v, %q %v", c.value, s, ok, n, isNum, l, isList)
		}
	}
	k := &RegistryKey{Values: map[string]RegistryValue{"DisplayName": {Type: RegistryDWord}}}
	if _, ok := k.Value("DISPLAYname"); !ok {
		t.Error("names of values are told apart by case")
	}
	if _, ok := k.Value("other"); ok {
		t.Error("a value that is not there is found")
	}
}
