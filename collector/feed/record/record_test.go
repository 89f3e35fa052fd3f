package record

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeKeepsNumbersWhole(t *testing.T) {
	got, err := Decode([]byte(`{"id": 9007199254740993, "big": 18446744073709551617, "f": 1.5, "e": 1e3, "t": "x", "n": null, "b": [true, 2]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": int64(9007199254740993), "big": "18446744073709551617", "f": 1.5, "e": 1000.0, "t": "x", "n": nil, "b": []any{true, int64(2)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeSaysWhatCame(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"html":      {"  <!DOCTYPE html><html>", "HTML page"},
		"xml":       {"<?xml version='1.0'?><a/>", "XML"},
		"text":      {"Service unavailable", "begins with \"Service unavailable\""},
		"truncated": {`{"a": [1, 2`, "ends in the middle"},
		"empty":     {"", "ends in the middle"},
		"two":       {`{} {}`, "more than one"},
		"deep":      {strings.Repeat("[", 80) + strings.Repeat("]", 80), "nested more than"},
	} {
		_, err := Decode([]byte(c.body))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one that says %q", name, err, c.want)
		}
	}
	if _, err := Decode([]byte(`{"a":`)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut answer is not told from a malformed one: %v", err)
	}
}

func TestDecodeLines(t *testing.T) {
	got, err := DecodeLines([]byte("{\"a\":1}\n\n{\"a\":2}\n"))
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := DecodeLines([]byte("{\"a\":1}\n{\"a\":")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a cut line: %v", err)
	}
}

func TestPath(t *testing.T) {
	v := map[string]any{
		"a":               map[string]any{"b": []any{map[string]any{"c": int64(1)}, map[string]any{"c": int64(2)}}},
		"@odata.nextLink": "next", "z": map[string]any{"2": "two", "1": "one"}, "n": nil,
	}
	for path, want := range map[string]any{
		"a.b.0.c": int64(1), "a.b.-1.c": int64(2), "a.b.*.c": int64(1), `"@odata.nextLink"`: "next", "z.2": "two", "z.*": "one",
		"a.x.y": nil, "a.b.7": nil, "n": nil, "n.x": nil, "": v,
	} {
		p, err := ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Get(v)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	for _, bad := range []string{".", "a.", "a..b", `"a`, `"a"b`, "r.a == 1", "a[0]", strings.Repeat("a.", 40) + "a"} {
		if _, err := ParsePath(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestListTellsNoneFromEmpty(t *testing.T) {
	p, err := ParsePath("items.*.instances")
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]any{"items": map[string]any{
		"zones/a": map[string]any{"instances": []any{int64(1), int64(2)}}, "zones/b": map[string]any{"warning": "none"}, "zones/c": map[string]any{"instances": []any{int64(3)}}}}
	got, found := p.List(v)
	if diff := cmp.Diff([]any{int64(1), int64(2), int64(3)}, got); diff != "" || !found {
		t.Error(found, diff)
	}
	plain, _ := ParsePath("value")
	if _, found := plain.List(map[string]any{"error": "x"}); found {
		t.Error("a missing list was found")
	}
	if _, found := plain.List(map[string]any{"value": []any{}}); !found {
		t.Error("an empty list was not found")
	}
}

func TestScrub(t *testing.T) {
	v := map[string]any{"id": "1", "personalRecoveryKey": "AAAA", "isRecoveryKeyValid": true, "activationLockBypassCode": "x", "recoveryKeyEscrowed": true,
		"list": []any{map[string]any{"unlock_token": "y", "name": "ok", "note": "private"}}, "empty": map[string]any{"password": nil}}
	Scrub(v, []string{"note"})
	want := map[string]any{"id": "1", "personalRecoveryKey": Redacted, "isRecoveryKeyValid": true, "activationLockBypassCode": Redacted, "recoveryKeyEscrowed": true,
		"list": []any{map[string]any{"unlock_token": Redacted, "name": "ok", "note": Redacted}}, "empty": map[string]any{"password": nil}}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `[[[]]]`, `<html>`, `1e999`, `{"a":`, "\ufeff{}"} {
		f.Add([]byte(s), "a.0")
	}
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		v, err := Decode(b)
		if err != nil {
			return
		}
		Scrub(v, nil)
		if p, err := ParsePath(path); err == nil {
			p.Get(v)
			p.List(v)
		}
	})
}
