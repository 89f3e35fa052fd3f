package doctest

import (
	"fmt"
	"strings"
)

// The kinds of tokens of a script.
const (
	word = iota
	separator
	redirect
	finished
)

type lexeme struct {
	kind, line int
	text       string
}

// splitter splits a script as a shell does, as far as documents need it: quotes,
// comments, lines that go on, pipes, lists and redirections.
type splitter struct {
	rest string
	line int
}

func (s *splitter) take(n int) string {
	taken := s.rest[:n]
	s.line += strings.Count(taken, "\n")
	s.rest = s.rest[n:]
	return taken
}

// next returns the next token.
func (s *splitter) next() (lexeme, error) {
	for s.rest != "" {
		at := s.line
		switch {
		case strings.HasPrefix(s.rest, "\\\n"):
			s.take(2)
		case s.rest[0] == ' ' || s.rest[0] == '\t':
			s.take(1)
		case s.rest[0] == '#':
			n := strings.IndexByte(s.rest+"\n", '\n')
			s.take(n)
		case strings.IndexByte("\n;|&", s.rest[0]) >= 0:
			s.take(1)
			return lexeme{kind: separator, line: at}, nil
		case s.rest[0] == '>' || s.rest[0] == '<':
			s.take(len(s.rest) - len(strings.TrimLeft(s.rest, "<>&")))
			return lexeme{kind: redirect, line: at}, nil
		default:
			text, err := s.word()
			return lexeme{kind: word, line: at, text: text}, err
		}
	}
	return lexeme{kind: finished, line: s.line}, nil
}

// word takes one word and returns it without its quotes.
func (s *splitter) word() (string, error) {
	var out strings.Builder
	for s.rest != "" && strings.IndexByte(" \t\n;|&<>", s.rest[0]) < 0 {
		switch c := s.rest[0]; c {
		case '\'', '"':
			at := s.line
			n := closing(s.rest[1:], c)
			if n < 0 {
				return "", fmt.Errorf("line %d: a quote has no end", at)
			}
			text := s.take(n + 2)
			text = text[1 : len(text)-1]
			if c == '"' {
				text = strings.NewReplacer(`\"`, `"`, `\\`, `\`, "\\\n", "").Replace(text)
			}
			out.WriteString(text)
		case '\\':
			taken := s.take(min(2, len(s.rest)))
			out.WriteString(strings.TrimPrefix(taken[1:], "\n"))
		default:
			out.WriteString(s.take(1))
		}
	}
	return out.String(), nil
}

// closing finds the quote that ends a text; within double quotes a backslash
// protects the next character.
func closing(s string, quote byte) int {
	for i := 0; i < len(s); i++ {
		if s[i] == quote {
			return i
		}
		if s[i] == '\\' && quote == '"' {
			i++
		}
	}
	return -1
}
