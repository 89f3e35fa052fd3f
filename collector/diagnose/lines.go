package diagnose

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// ours are the attributes of a line whose values are texts of this program.
var ours = map[string]bool{"time": true, "level": true, "msg": true}

var (
	pair = regexp.MustCompile(`([A-Za-z0-9_.]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)`)
	// logged is the beginning of a line that this program logged, after what its
	// service manager put before it.
	logged = regexp.MustCompile(`^(?:.*? )?(time=[0-9-]+T\S+ level=\S+ msg=.*|\{"time":".*\})\s*$`)
	// head is what of such a line is surely ours.
	head = regexp.MustCompile(`^time=\S+ level=\S+ msg=(?:"(?:[^"\\]|\\.)*"|\S+)`)
)

// Log is Foreign for lines of a log, of which it keeps the messages, since they
// are fixed. Lines that this program did not write are masked as a whole.
func (m *Masker) Log(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		found := logged.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		switch {
		case found == nil:
			out.WriteString(m.Foreign(line))
			continue
		case found[1][0] == '{':
			out.WriteString(m.object(found[1]))
		default:
			out.WriteString(m.pairs(found[1]))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// value masks the value of an attribute.
func (m *Masker) value(key, v string) string {
	key = key[strings.LastIndex(key, ".")+1:]
	switch {
	case withheld[key]:
		return "(withheld)"
	case named.MatchString(key+"=x") && !kept(v):
		return "(secret)"
	}
	return m.Foreign(v)
}

func (m *Masker) pairs(line string) string {
	return pair.ReplaceAllStringFunc(line, func(found string) string {
		key, v, _ := strings.Cut(found, "=")
		if ours[key] {
			return found
		}
		plain, err := strconv.Unquote(v)
		if err != nil {
			return key + "=" + m.value(key, v)
		}
		return key + "=" + strconv.Quote(m.value(key, plain))
	})
}

// object masks a line of JSON.
func (m *Masker) object(line string) string {
	var attrs map[string]any
	if err := json.Unmarshal([]byte(line), &attrs); err != nil {
		return m.Foreign(line)
	}
	for key, v := range attrs {
		if text, ok := v.(string); ok && !ours[key] {
			attrs[key] = m.value(key, text)
		} else if nested, ok := v.(map[string]any); ok {
			// Our lines have no groups.
			attrs[key] = "(withheld: " + strconv.Itoa(len(nested)) + " values)"
		}
	}
	b, err := json.Marshal(attrs)
	if err != nil {
		return "(withheld)"
	}
	return string(b)
}

// Heads returns of the lines of a log what is surely not about the fleet: when
// what happened.
func Heads(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if found := head.FindString(line); found != "" {
			out.WriteString(found + "\n")
		}
	}
	return out.String()
}
