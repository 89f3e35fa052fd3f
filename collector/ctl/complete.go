package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

const (
	// completionTime is how long a shell is kept waiting.
	completionTime = time.Second
	// maxCandidates is how many values a person is shown.
	maxCandidates = 200
)

// candidate is what could stand at the cursor.
type candidate struct {
	value string
	// help says what it is, to shells that show that.
	help string
	// id names the same thing without doubt, where it has one.
	id string
}

// completion is a command line up to the cursor.
type completion struct {
	ctx   context.Context
	world outside
	node  *kong.Node
	// given are the values of flags before the cursor.
	given map[string]string
	// args are the words before the cursor that are no command and no flag.
	args []string
	// pending is the flag whose value is typed.
	pending *kong.Flag
	// plain says that a -- came before: no flags any more.
	plain bool
	then  string
}

// complete answers the script of a shell. Where there is nothing to say, or the
// collector cannot be asked, it says nothing: nobody reads errors at a prompt.
func complete(ctx context.Context, model *kong.Node, world outside, shell string, args []string) {
	if len(args) == 0 || scripts[shell] == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	words := typedWords(shell, slices.Clone(args))
	c := &completion{ctx: ctx, world: world, node: model, given: make(map[string]string), then: thenDone}
	for _, w := range words[:len(words)-1] {
		c.take(w)
	}
	found := c.at(words[len(words)-1])
	fmt.Fprintln(world.stdout, c.then)
	for _, f := range found[:min(len(found), maxCandidates)] {
		line := forShell(shell, args, f.value)
		if line == "" || strings.ContainsAny(f.value, "\n\r") || clean(f.value) != strings.TrimSpace(f.value) {
			continue
		}
		if help := clean(f.help); help != "" && shell != "bash" {
			line += "\t" + help
		}
		fmt.Fprintln(world.stdout, line)
	}
}

// take reads a word before the cursor.
func (c *completion) take(word string) {
	switch {
	case c.pending != nil:
		c.given[c.pending.Name] = word
		c.pending = nil
	case c.plain || !strings.HasPrefix(word, "-") || word == "-":
		c.takeArg(word)
	case word == "--":
		c.plain = true
	default:
		name, value, joined := strings.Cut(word, "=")
		f := c.flag(name)
		if f == nil {
			return
		}
		if joined || f.IsBool() {
			c.given[f.Name] = value
		} else {
			c.pending = f
		}
	}
}

func (c *completion) takeArg(word string) {
	if len(c.args) == 0 {
		for _, n := range c.node.Children {
			if n.Name == word || slices.Contains(n.Aliases, word) {
				c.node = n
				return
			}
		}
		if c.node.DefaultCmd != nil {
			c.node = c.node.DefaultCmd
		}
	}
	c.args = append(c.args, word)
}

// flags returns those that may stand at the cursor.
func (c *completion) flags() []*kong.Flag {
	var out []*kong.Flag
	if d := c.node.DefaultCmd; d != nil && len(c.args) == 0 {
		out = append(out, d.Flags...)
	}
	for n := c.node; n != nil; n = n.Parent {
		out = append(out, n.Flags...)
	}
	return out
}

// flag finds one by how it is written, as in --output or -o.
func (c *completion) flag(written string) *kong.Flag {
	for _, f := range c.flags() {
		if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) || f.Tag.Negatable != "" && written == "--no-"+f.Name {
			return f
		}
	}
	return nil
}

// at returns what could stand in place of a word.
func (c *completion) at(word string) []candidate {
	if c.pending != nil {
		return c.values(c.pending.Value, "", word)
	}
	if !c.plain && strings.HasPrefix(word, "-") {
		if name, value, joined := strings.Cut(word, "="); joined {
			if f := c.flag(name); f != nil {
				return c.values(f.Value, name+"=", value)
			}
			return nil
		}
		return c.flagNames(word)
	}
	var out []candidate
	node := c.node
	if len(c.args) == 0 {
		for _, n := range c.node.Children {
			if !n.Hidden && strings.HasPrefix(n.Name, word) {
				out = append(out, candidate{value: n.Name, help: n.Help})
			}
		}
		if node.DefaultCmd != nil {
			node = node.DefaultCmd
		}
	}
	if n := len(node.Positional); n > 0 {
		i := min(len(c.args), n-1)
		if p := node.Positional[i]; i == len(c.args) || p.IsCumulative() {
			out = append(out, c.values(p, "", word)...)
		}
	}
	return out
}

func (c *completion) flagNames(word string) []candidate {
	var out []candidate
	for _, f := range c.flags() {
		if _, given := c.given[f.Name]; f.Hidden || given && !f.IsCumulative() {
			continue
		}
		names := []string{"--" + f.Name}
		if f.Tag.Negatable != "" {
			names = append(names, "--no-"+f.Name)
		}
		for _, name := range names {
			if strings.HasPrefix(name, word) {
				out = append(out, candidate{value: name, help: f.Help})
			}
		}
	}
	slices.SortFunc(out, func(a, b candidate) int { return cmp.Compare(a.value, b.value) })
	return out
}

// values returns what a flag or an argument could be, each with prefix before it.
// The tag complete of its field says what it is, and values which there are.
func (c *completion) values(v *kong.Value, prefix, word string) []candidate {
	if v.IsSlice() && v.Tag.Sep != -1 && v.Flag != nil { // after a comma the next begins
		if i := strings.LastIndexByte(word, ','); i >= 0 {
			prefix, word = prefix+word[:i+1], word[i+1:]
		}
	}
	var out []candidate
	switch closed := or(v.Enum, v.Tag.Get("values")); {
	case closed != "":
		for x := range strings.SplitSeq(closed, ",") {
			if x != "" && strings.HasPrefix(x, word) {
				out = append(out, candidate{value: x})
			}
		}
	default:
		// What is called as a flag is would be taken for one.
		out = slices.DeleteFunc(c.known(v.Tag.Get("complete"), word), func(k candidate) bool { return strings.HasPrefix(k.value, "-") })
	}
	for i := range out {
		out[i].value = prefix + out[i].value
	}
	return out
}
