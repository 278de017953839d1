package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// world is one run: everything that exists, and what is going to happen. Nothing in it depends on the wall clock, on goroutines or on the order of a map.
type world struct {
	seed   uint64
	dice   *rand.Rand
	now    time.Duration // since the beginning
	queue  events
	count  int64 // events that were entered
	trace  trace
	mutant string // the protocol bug that is put in
	calm   bool   // no more faults, no more operators: everything is to come to rest
	ids    uint64

	plan     plan
	store    *store
	nodes    []*node
	cut      [][]bool      // messages from one endpoint to another are lost
	extra    time.Duration // every message takes up to so much longer
	loss     int           // of 1000 messages
	clients  []client
	ends     []*endpoint // of nodes, then of clients
	operator *machine    // who deletes records
	waits    []wait

	truth truth
}

// epoch is when the virtual clock begins.
var epoch = time.UnixMilli(1_700_000_000_000).UTC()

// event is something that is going to happen.
type event struct {
	at  time.Duration
	seq int64
	fn  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// after has fn happen later.
func (w *world) after(d time.Duration, fn func()) {
	w.count++
	heap.Push(&w.queue, event{w.now + d, w.count, fn})
}

// wait is something that is looked at after each event until it is done.
type wait func() (done bool)

// until looks at something after each event until that says it is done.
func (w *world) until(f wait) { w.waits = append(w.waits, f) }

// step plays the next event; false: there is none before end.
func (w *world) step(end time.Duration) bool {
	if len(w.queue) == 0 || w.queue[0].at > end {
		w.now = end
		return false
	}
	e := heap.Pop(&w.queue).(event)
	w.now = e.at
	w.trace.mix(uint64(e.at))
	w.trace.mix(uint64(e.seq))
	e.fn()
	// What is done may have others done, and enter more to wait for.
	for again := true; again; {
		again = false
		waits := w.waits
		w.waits = nil
		kept := waits[:0]
		for _, f := range waits {
			if f() {
				again = true
			} else {
				kept = append(kept, f)
			}
		}
		w.waits = append(kept, w.waits...)
	}
	w.truth.afterEvent()
	return true
}

// run plays until a time.
func (w *world) run(until time.Duration) {
	for w.step(until) {
	}
}

// between is a random time in [least, most).
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.dice.Int64N(int64(most-least)))
}

// chance is true so many times of a thousand.
func (w *world) chance(permille int) bool { return w.dice.IntN(1000) < permille }

// newID gives ids that count up.
func (w *world) newID() (id kafka.UUID) {
	w.ids++
	for i := range 8 {
		id[15-i] = byte(w.ids >> (8 * i))
	}
	return id
}

// pick is one of them.
func pick[E any](w *world, list []E) E { return list[w.dice.IntN(len(list))] }

// trace is what has happened: the hash of every event, line and batch, and the last lines.
type trace struct {
	hash  uint64
	lines int
	tail  [400]string
	all   bool // print everything
}

// mix takes a number into the hash.
func (t *trace) mix(n uint64) { t.hash = (t.hash ^ n) * 0x100000001b3 }

// say adds a line to the trace.
func (w *world) say(format string, args ...any) {
	line := fmt.Sprintf("%9.3fms ", float64(w.now)/1e6) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	h.Write([]byte(line))
	w.trace.mix(h.Sum64())
	w.trace.tail[w.trace.lines%len(w.trace.tail)] = line
	w.trace.lines++
	if w.trace.all {
		fmt.Println(line)
	}
}

// last are the last lines of the trace.
func (t *trace) last() string {
	var b strings.Builder
	for i := max(0, t.lines-len(t.tail)); i < t.lines; i++ {
		b.WriteString(t.tail[i%len(t.tail)])
		b.WriteByte('\n')
	}
	return b.String()
}

// violation is what a checker finds.
type violation string

// fail ends the run: something happened that must not.
func (w *world) fail(format string, args ...any) {
	v := fmt.Sprintf(format, args...)
	w.say("VIOLATION %s", v)
	panic(violation(v))
}
