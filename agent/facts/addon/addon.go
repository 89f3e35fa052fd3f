// Package addon decodes how browsers and development environments describe
// what people have added to them: manifests, preferences and lists of
// extensions.
package addon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Addon is one extension of a browser or plugin of a development environment.
type Addon struct {
	// ID is the name that the makers of the browser gave it: 32 letters in
	// Chromium, an address or a UUID in Firefox, publisher.name in VS Code.
	ID string
	// Name is what people see; it can be empty.
	Name      string
	Version   string
	Publisher string
	// Installed is zero where it is not said.
	Installed time.Time
	// Folder is where it lies, absolute or below where the list of extensions
	// stands; empty where it is not said.
	Folder string
}

// decodeJSON decodes JSON as browsers read it: a byte order mark and comments
// are no fault.
func decodeJSON(data []byte, into any) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	plain := withoutComments(data)
	if len(plain) == len(data) {
		return fmt.Errorf("not JSON as expected: %w", err)
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("not JSON as expected: %w", err)
	}
	return nil
}

// withoutComments leaves out what stands between // and the end of the line or
// between /* and */, except in texts.
func withoutComments(data []byte) []byte {
	out := make([]byte, 0, len(data))
	inText := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case inText && c == '\\' && i+1 < len(data):
			out = append(out, c)
			i++
			c = data[i]
		case c == '"':
			inText = !inText
		case !inText && bytes.HasPrefix(data[i:], []byte("//")):
			end := bytes.IndexByte(data[i:], '\n')
			if end < 0 {
				return out
			}
			i += end
			c = '\n'
		case !inText && bytes.HasPrefix(data[i:], []byte("/*")):
			end := bytes.Index(data[i+2:], []byte("*/"))
			if end < 0 {
				return out
			}
			i += end + 3
			c = ' '
		}
		out = append(out, c)
	}
	return out
}

// text is a JSON string; any other value is an empty one, since a field that
// one extension abuses must not cost all others.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// number is a JSON number, or one in quotes; any other value is 0.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	var f float64
	if b = bytes.Trim(b, `"`); json.Unmarshal(b, &f) == nil && f > -1<<62 && f < 1<<62 {
		*n = number(f)
		// A float has not room for all digits of a time in microseconds.
		var i int64
		if json.Unmarshal(b, &i) == nil {
			*n = number(i)
		}
	}
	return nil
}

// milliseconds returns a time in milliseconds since 1970.
func milliseconds(n number) time.Time {
	if n <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(n)).UTC()
}
