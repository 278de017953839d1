package main

import (
	"strings"
	"testing"
)

// Columns stay where they are below a row whose last cells are empty, and no line ends in spaces.
func TestEmptyCellsKeepTheColumns(t *testing.T) {
	var b strings.Builder
	o := output{format: oneOf("text")}
	err := o.print(&b, nil, func(t *table) {
		t.row("KEY", "VALUE", "SOURCE")
		t.row("a", "a long value", "broker")
		t.row("b", "", "")
		t.row("c", "short", "default")
	})
	want := "KEY  VALUE         SOURCE\na    a long value  broker\nb\nc    short         default\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}
