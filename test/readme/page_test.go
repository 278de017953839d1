package readme

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a page with the comment before it.
type block struct {
	mark  string // what stands in the comment
	lines []string
	at    int // line of the page
}

var comment = regexp.MustCompile(`^<!-- (run|run: .*|same as: .*|settings: .*) -->$`)

// blocks are the marked blocks of a page.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	data, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		m := comment.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		if i+1 >= len(lines) || !strings.HasPrefix(lines[i+1], "```") {
			t.Fatalf("%s:%d: a mark without a block behind it", page, i+1)
		}
		b := block{mark: m[1], at: i + 2}
		for i += 2; lines[i] != "```"; i++ {
			b.lines = append(b.lines, lines[i])
		}
		found = append(found, b)
	}
	return found
}

// commands are the commands of a block, each with what it prints.
func (b block) commands() (commands []command) {
	for i, line := range b.lines {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, command{text: c, at: b.at + i + 1})
		} else if n := len(commands); n > 0 {
			commands[n-1].prints = append(commands[n-1].prints, line)
		}
	}
	return commands
}

type command struct {
	text   string
	prints []string
	at     int
}

// pattern matches what a command may print. A command without lines behind it prints nothing.
func (c command) pattern() *regexp.Regexp {
	var p strings.Builder
	p.WriteString(`\A`)
	for _, line := range c.prints {
		if line == "…" {
			p.WriteString(`(?:.*\n)*`)
			continue
		}
		p.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `[ ]*\n`)
	}
	p.WriteString(`\z`)
	return regexp.MustCompile(p.String())
}
