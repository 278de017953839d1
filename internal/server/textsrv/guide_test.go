package textsrv

import (
	"os"
	"strings"
	"testing"
)

// The guide shows what really happens: every line typed in it gets exactly the answers that stand below it.
func TestGuideIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../../docs/guide/nc.md")
	if err != nil {
		t.Fatal(err)
	}
	_, _, c := start(t, Options{})
	typed, inside := 0, false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "> "):
			c.send(line[2:])
			typed++
		default:
			c.want(line)
		}
	}
	c.send("PING")
	c.want("PONG") // nothing more was said than the guide shows
	if typed < 20 {
		t.Errorf("only %d commands were found in the guide", typed)
	}
}
