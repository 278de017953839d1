package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// output is the --format of verbs that answer with facts (not with records).
type output struct{ format choice }

func (o *output) register(cmd *cobra.Command) {
	o.format = oneOf("text", "json", "yaml")
	cmd.PersistentFlags().VarP(&o.format, "format", "o", "how to print the answer")
	o.format.complete(cmd, "format")
}

// print writes v as JSON or YAML, or calls text. JSON is the truth: YAML is made from it, so that both have the same names.
func (o *output) print(w io.Writer, v any, text func(*table)) error {
	switch o.format.value {
	case "json":
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	case "yaml":
		b, err := json.Marshal(v)
		if err == nil {
			b, err = yaml.JSONToYAML(b)
		}
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		_, err = w.Write(b)
		return err
	}
	t := &table{w: tabwriter.NewWriter(&rightTrimmed{w: w}, 0, 0, 2, ' ', 0)}
	text(t)
	return t.w.Flush()
}

// table writes aligned columns.
type table struct {
	w       *tabwriter.Writer
	started bool // the table has a row
	ended   bool // a table stands before it
}

// row writes one line of cells.
func (t *table) row(cells ...any) {
	if t.ended {
		fmt.Fprintln(t.w)
	}
	t.started, t.ended = true, false
	text := make([]string, len(cells))
	for i, c := range cells {
		// A tab or newline in a cell would break the table.
		text[i] = strings.NewReplacer("\t", " ", "\n", " ").Replace(fmt.Sprint(c))
	}
	fmt.Fprintln(t.w, strings.Join(text, "\t")) // with empty cells at its end, without which the columns above and below would part
}

// rightTrimmed leaves out the spaces at the ends of lines.
type rightTrimmed struct {
	w      io.Writer
	spaces int // held back
}

func (t *rightTrimmed) Write(b []byte) (int, error) {
	out := make([]byte, 0, t.spaces+len(b))
	for _, c := range b {
		switch c {
		case ' ':
			t.spaces++
			continue
		case '\n':
		default:
			out = append(out, strings.Repeat(" ", t.spaces)...)
		}
		out, t.spaces = append(out, c), 0
	}
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// gap ends a table: what follows has columns of its own, behind an empty line.
func (t *table) gap() {
	_ = t.w.Flush() // columns of one table must not widen the next; an error shows again at the last Flush
	t.ended, t.started = t.ended || t.started, false
}

// section starts a new table under a headline.
func (t *table) section(title string) {
	t.gap()
	t.row(title)
	_ = t.w.Flush()
}

// outcome is what happened to one of the things a command was asked to change.
type outcome struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

// printOutcomes prints one line for each thing and fails if one of them failed.
func (o *output) printOutcomes(w io.Writer, noun string, all []outcome) error {
	failed := 0
	for _, oc := range all {
		if oc.Error != "" {
			failed++
		}
	}
	err := o.print(w, all, func(t *table) {
		t.row(strings.ToUpper(noun), "STATUS")
		for _, oc := range all {
			status := oc.Status
			if oc.Error != "" {
				status += ": " + oc.Error
			}
			t.row(oc.Name, status)
		}
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d %ss failed", failed, len(all), noun)
	}
	return err
}
