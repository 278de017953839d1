package share

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// stage plays a transcript: lines that begin with "> " are commands, the lines after each are what came of it. A command that changes
// something is followed by the state in one line: each stretch with its state (. available, ! acquired, + acknowledged, ~ archiving,
// x archived), its deliveries and its holder.
type stage struct {
	t        *testing.T
	settings Settings
	p        *Partition
	now      time.Time
	log      []Batch
	durable  State
	w        Write
	out      strings.Builder
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// SHR-1, SHR-2, SHR-3, SHR-4: the whole graph of states, told as conversations.
func TestPartitionTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/partition/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := &stage{t: t, now: epoch}
			for line := range strings.Lines(string(b)) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "#") {
					s.say("%s", line)
				} else if cmd, ok := strings.CutPrefix(line, "> "); ok {
					s.say("> %s", cmd)
					s.play(strings.Fields(cmd))
				} else if line == "" {
					s.say("")
				}
			}
			golden(t, path, s.out.String())
		})
	}
}

// golden compares with a file, or writes it with RAFKA_REWRITE=1.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("RAFKA_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (RAFKA_REWRITE=1 writes it)", err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("differs from %s in line %d (RAFKA_REWRITE=1 writes it anew):\n%s", path, i+1, strings.Join(g[max(0, i-5):min(len(g), i+3)], "\n"))
		}
	}
}

func (s *stage) play(args []string) {
	cmd, args := args[0], args[1:]
	switch cmd {
	case "new":
		s.settings = Settings{MaxLocks: 100, DeliveryLimit: 5, LockDuration: 10 * time.Second, Renew: true, RedeliverFirst: true}
		s.configure(args)
		s.log, s.durable = nil, State{}
		s.restore()
	case "set":
		s.configure(args)
		s.p.SetSettings(s.settings)
		return
	case "log":
		s.append(args)
		return
	case "fetch":
		s.fetch(args)
	case "ack":
		s.ack(args)
	case "leave":
		s.say("changed: %v", s.p.Release(s.now, args[0]))
	case "wait":
		d, err := time.ParseDuration(args[0])
		s.must(err)
		s.now = s.now.Add(d)
		s.say("changed: %v", s.p.Expire(s.now))
	case "write":
		if !s.p.Changes(&s.w) {
			s.say("nothing to write")
			return
		}
		s.say("write %d: start %d, %d done: %s", s.w.Ticket, s.w.StartOffset, s.w.DeliveryComplete, batchesText(s.w.Batches))
		return
	case "ok":
		s.durable = State{StartOffset: s.w.StartOffset, Batches: combine(s.durable.Batches, s.w.Batches, s.w.StartOffset)}
		s.p.Persisted(s.now, s.w.Ticket)
	case "fail":
		s.p.PersistFailed(s.now, s.w.Ticket)
	case "trim":
		s.p.TrimTo(s.now, s.offset(args[0]))
	case "dead":
		for _, d := range s.p.DeadLetters(nil) {
			s.say("to the dead-letter topic: %d-%d x%d %s", d.First, d.Last, d.Count, map[Reason]string{Rejected: "rejected", UsedUp: "used up", Resumed: "resumed"}[d.Reason])
		}
		return
	case "deadlettered":
		first, last := s.stretch(args[0])
		s.p.DeadLettered(s.now, first, last)
	case "restart":
		s.say("from start %d: %s", s.durable.StartOffset, batchesText(s.durable.Batches))
		s.restore()
	case "stats":
		s.say("%+v", s.p.Stats(s.now))
		return
	default:
		s.t.Fatalf("unknown command %q", cmd)
	}
	s.state()
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) configure(args []string) {
	for _, a := range args {
		name, v, _ := strings.Cut(a, "=")
		n, _ := strconv.Atoi(v)
		d, _ := time.ParseDuration(v)
		switch name {
		case "locks":
			s.settings.MaxLocks = n
		case "window":
			s.settings.MaxWindow = n
		case "fragments":
			s.settings.MaxFragments = n
		case "limit":
			s.settings.DeliveryLimit = n
		case "lock":
			s.settings.LockDuration = d
		case "norenew":
			s.settings.Renew = false
		case "dlq":
			s.settings.DeadLetter = true
		case "keys":
			s.settings.KeyOrdering = true
		case "low":
			s.settings.RedeliverFirst = false
		case "backoff":
			s.settings.RetryBackoff = d
		case "times":
			s.settings.RetryMultiple = float64(n)
		case "most":
			s.settings.RetryMax = d
		default:
			s.t.Fatalf("unknown setting %q", a)
		}
	}
}

func (s *stage) restore() {
	p, err := Restore(s.settings, s.durable)
	s.must(err)
	s.p = p
}

func (s *stage) offset(text string) kafka.Offset {
	n, err := strconv.ParseInt(text, 10, 64)
	s.must(err)
	return kafka.Offset(n)
}

func (s *stage) stretch(text string) (first, last kafka.Offset) {
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		b = a
	}
	return s.offset(a), s.offset(b)
}

// append is log FIRST-LAST [gone] [OFFSET:KEY|OFFSET@DELAY ...].
func (s *stage) append(args []string) {
	b := Batch{}
	b.First, b.Last = s.stretch(args[0])
	if len(args) > 1 && args[1] == "gone" {
		b.IsGone = true
	} else if len(args) > 1 {
		for o := b.First; o <= b.Last; o++ {
			b.Records = append(b.Records, Record{Offset: o})
		}
		for _, a := range args[1:] {
			if o, key, ok := strings.Cut(a, ":"); ok {
				b.Records[s.offset(o)-b.First].Key = uint64(key[0])
			} else if o, after, ok := strings.Cut(a, "@"); ok {
				d, err := time.ParseDuration(after)
				s.must(err)
				b.Records[s.offset(o)-b.First].NotBefore = kafka.Timestamp(s.now.Add(d).UnixMilli())
			}
		}
	}
	s.log = append(s.log, b)
}

// fetch is fetch MEMBER [max=N] [whole] [size=N]: until nothing more is offered.
func (s *stage) fetch(args []string) {
	ask := Ask{Member: args[0], Max: 100}
	for _, a := range args[1:] {
		name, v, _ := strings.Cut(a, "=")
		n, _ := strconv.Atoi(v)
		switch name {
		case "max":
			ask.Max = n
		case "size":
			ask.BatchSize = n
		case "whole":
			ask.WholeBatches = true
		}
	}
	look := Look{}
	if n := len(s.log); n > 0 {
		look.LogEnd = s.log[n-1].Last + 1
	}
	for want := ask.Max; want > 0; {
		at, ok := s.p.Next(s.now, look)
		if !ok {
			break
		}
		var read []Batch
		for _, b := range s.log {
			if b.Last >= at.First && b.First <= at.Last && len(read) < 4 {
				read = append(read, b)
			}
		}
		if len(read) == 0 {
			break
		}
		ask.Max = want
		look.Got = s.p.Acquire(s.now, ask, read, look.Got)
		look.From, look.Again = read[len(read)-1].Last+1, at.Again
		want = ask.Max
		for _, a := range look.Got {
			want -= int(a.Last-a.First) + 1
		}
	}
	var got []string
	for _, a := range look.Got {
		got = append(got, fmt.Sprintf("%d-%d x%d", a.First, a.Last, a.Count))
	}
	s.say("%s gets [%s]", ask.Member, strings.Join(got, ", "))
}

// ack is ack MEMBER {FIRST-LAST types}...: a type is one of gap accept release reject renew by its first two letters.
func (s *stage) ack(args []string) {
	names := map[string]int8{"ga": AckGap, "ac": AckAccept, "rl": AckRelease, "rj": AckReject, "rn": AckRenew}
	var acks []Ack
	for i := 1; i+1 < len(args); i += 2 {
		var a Ack
		a.First, a.Last = s.stretch(args[i])
		for _, typ := range strings.Split(args[i+1], ",") {
			n, ok := names[typ]
			if !ok {
				n = 9
			}
			a.Types = append(a.Types, n)
		}
		acks = append(acks, a)
	}
	ticket, err := s.p.Acknowledge(s.now, args[0], acks)
	if err != nil {
		s.say("%s: %v", kafka.CodeOf(err).Name(), err)
		return
	}
	s.say("with write %d", ticket)
}

func batchesText(batches []StateBatch) string {
	var b strings.Builder
	for _, n := range batches {
		fmt.Fprintf(&b, "%d-%d%cx%d ", n.First, n.Last, ".!+~x"[n.State], n.Count)
	}
	return strings.TrimSpace(b.String())
}

func (s *stage) state() {
	var b strings.Builder
	s.p.Each(func(n StateBatch, member string) bool {
		fmt.Fprintf(&b, " %s%s", batchesText([]StateBatch{n}), member)
		return true
	})
	wake := ""
	if at := s.p.NextWake(s.now); !at.IsZero() {
		wake = fmt.Sprintf(" wakes in %v", at.Sub(s.now))
	}
	woke := ""
	if s.p.Woke() {
		woke = " woke"
	}
	s.say("%d:%s :%d%s%s", s.p.Start(), b.String(), s.p.End(), wake, woke)
}
