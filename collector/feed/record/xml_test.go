package record

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestDecodeXML(t *testing.T) {
	for in, want := range map[string]any{
		`<a/>`: "",
		`<?xml version="1.0"?><a> x &amp; y </a>`: "x & y",
		`<a xmlns="urn:x" b="c"><n>1</n></a>`:     map[string]any{"n": "1"},
		`<a><item>1</item></a>`:                   []any{"1"},
		`<a><member><k>v</k></member></a>`:        []any{map[string]any{"k": "v"}},
		`<a><b>1</b><b>2</b><b>3</b><c/></a>`:     map[string]any{"b": []any{"1", "2", "3"}, "c": ""},
		`<a><b><item/></b><b>2</b></a>`:           map[string]any{"b": []any{[]any{""}, "2"}},
	} {
		got, err := DecodeXML([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		``: "ends in the middle", `<a><b>`: "ends in the middle", `{"a": 1}`: "is not XML", `<a/><b/>`: "more than one", `<a></b>`: "decode XML",
		"<!DOCTYPE html><html>": "an HTML page", strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100): "nested more than", `<a>&x;</a>`: "decode XML",
	} {
		if _, err := DecodeXML([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v, want one that says %q", in, err, want)
		}
	}
	if _, err := DecodeXML([]byte("<a><b>x")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// FuzzDecodeXML holds answers of any kind to an end without a panic.
func FuzzDecodeXML(f *testing.F) {
	f.Add([]byte(`<a><item><k>v</k></item></a>`))
	f.Add([]byte(`<a><b>1</b><b/></a>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := DecodeXML(b); err == nil && v == nil {
			t.Error("a document is nothing")
		}
	})
}
