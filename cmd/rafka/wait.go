package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	lookEvery = 200 * time.Millisecond // how often a verb that waits looks
	tellEvery = 10 * time.Second       // how often it says where it is when nobody watches at a terminal
)

// waiting is the --wait of verbs that begin what goes on in the cluster without them.
type waiting struct {
	on    bool
	limit time.Duration // 0: as long as it takes
}

func (w *waiting) String() string { return "" }
func (w *waiting) Type() string   { return "duration" }
func (w *waiting) Set(s string) error {
	if s != untilDone {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return errors.New("want a duration such as 5m, behind =")
		}
		w.limit = d
	}
	w.on = true
	return nil
}

const untilDone = "until done"

func (w *waiting) register(cmd *cobra.Command, what string) {
	cmd.Flags().Var(w, "wait", what+"; --wait=5m gives up after that")
	cmd.Flags().Lookup("wait").NoOptDefVal = untilDone
}

// progress is how far something is that takes time.
type progress struct {
	done, total int
	what        string // such as "replicas moved"
	more        string // why it does not go on, or what else there is to know
}

func (p progress) String() string {
	s := fmt.Sprintf("%d of %d %s", p.done, p.total, p.what)
	if p.total == 0 {
		s = p.what
	}
	if p.more != "" {
		s += ": " + p.more
	}
	return s
}

// bar is the progress on a terminal, in one line.
func (p progress) bar() string {
	const width = 24
	if p.total == 0 {
		return p.String()
	}
	full := min(max(p.done*width/p.total, 0), width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "] " + p.String()
}

// until calls look again and again until it is done. It shows the progress in w: as a bar on a terminal, else as a line from time to time.
// Each look may take patience, and errors count only when there is nothing else for as long: leaders change while brokers come and go.
func (w waiting) until(ctx context.Context, notes io.Writer, patience time.Duration, look func(ctx context.Context) (progress, bool, error)) error {
	if w.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.limit)
		defer cancel()
	}
	show := newShow(notes)
	defer show.end()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last, good := progress{}, time.Now()
	for {
		within, cancel := context.WithTimeout(ctx, patience)
		p, done, err := look(within)
		cancel()
		switch {
		case err == nil && done:
			return nil
		case err == nil:
			last, good = p, time.Now()
			show.tell(p)
		case ctx.Err() == nil && time.Since(good) > patience:
			return explain(err)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("not done after %s (%s); it goes on without this command", w.limit, last)
			}
			return fmt.Errorf("interrupted (%s); it goes on without this command", last)
		case <-tick.C:
		}
	}
}

// show is where progress is shown.
type show struct {
	w        io.Writer
	terminal bool
	said     string
	at       time.Time
	width    int // of the line that stands on the terminal
}

func newShow(w io.Writer) *show { return &show{w: w, terminal: isTerminal(w), at: time.Now()} }

func (s *show) tell(p progress) {
	switch text := p.String(); {
	case s.terminal:
		line := p.bar()
		fmt.Fprintf(s.w, "\r%-*s", s.width, line)
		s.width = len(line)
	case text != s.said && time.Since(s.at) >= tellEvery:
		fmt.Fprintln(s.w, text)
		s.said, s.at = text, time.Now()
	}
}

// end wipes the line.
func (s *show) end() {
	if s.width > 0 {
		fmt.Fprintf(s.w, "\r%*s\r", s.width, "")
	}
}
