package textsrv_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/rafkatest"
)

// The guide shows what really happens: every line typed in it gets exactly the answers that stand below it.
func TestGuideIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../../docs/guide/nc.md")
	if err != nil {
		t.Fatal(err)
	}
	c := talkTo(t, rafkatest.Start(t))
	typed := 0
	for _, block := range strings.Split(string(text), "\n```console\n")[1:] {
		talk, _, _ := strings.Cut(block, "```")
		c.converse(talk)
		typed += strings.Count("\n"+talk, "\n> ")
	}
	c.converse("> PING\nPONG") // nothing more was said than the guide shows
	if typed < 40 {
		t.Errorf("only %d commands were found in the guide", typed)
	}
}
