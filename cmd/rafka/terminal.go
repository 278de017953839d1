package main

import (
	"os"

	"golang.org/x/term"
)

// isTerminal reports whether stream (a reader or writer) is a terminal: somebody to ask, or somebody who likes progress bars.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
