package sim

import (
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// endpoint is who sends and gets messages: a node, or a client's machine.
type endpoint struct {
	w      *world
	index  int // in world.cut
	name   string
	node   *node    // nil: a client
	up     bool     // a process is there
	life   int      // which one
	frozen bool     // it is there and does nothing
	missed []func() // what would have happened while it was frozen
}

// after has fn happen later, unless the process has ended by then; while it is frozen, when it goes on.
func (e *endpoint) after(d time.Duration, fn func()) {
	life := e.life
	e.w.after(d, func() { e.do(life, fn) })
}

func (e *endpoint) do(life int, fn func()) {
	switch {
	case e.life != life || !e.up:
	case e.frozen:
		e.missed = append(e.missed, func() { e.do(life, fn) })
	default:
		fn()
	}
}

// thaw lets a frozen process go on.
func (e *endpoint) thaw() {
	if !e.frozen {
		return
	}
	e.frozen = false
	missed := e.missed
	e.missed = nil
	for _, fn := range missed {
		fn()
	}
}

// reaches reports whether messages get from one to the other at present.
func (w *world) reaches(from, to *endpoint) bool { return from == to || !w.cut[from.index][to.index] }

// delay is how long a message takes.
func (w *world) delay(from, to *endpoint) time.Duration {
	if from == to {
		return w.between(10*time.Microsecond, 50*time.Microsecond)
	}
	d := w.between(100*time.Microsecond, 1500*time.Microsecond)
	if w.extra > 0 {
		d += w.between(0, w.extra)
	}
	return d
}

// deliver sends a message, which is lost, late, or comes twice as the network has it.
func (w *world) deliver(from, to *endpoint, mayRepeat bool, fn func()) {
	if from != to && (!w.reaches(from, to) || w.chance(w.loss)) {
		return
	}
	life := to.life
	arrive := func() {
		if from == to || w.reaches(from, to) {
			to.do(life, fn)
		}
	}
	w.after(w.delay(from, to), arrive)
	if mayRepeat && from != to && !w.calm && w.chance(w.plan.repeats) {
		stray := time.Second
		if w.chance(200) {
			stray = 4 * time.Second
		}
		w.after(w.delay(from, to)+w.between(0, stray), arrive)
	}
}

var errTimeout = kafka.Errorf(kafka.RequestTimedOut, "no answer came in time")
var errRefused = kafka.Errorf(kafka.NetworkException, "nobody listens")

// request is a call to a node.
// request is how a call is made.
type request struct {
	what     string
	patience time.Duration
	once     bool // it comes once, and not after the caller has given up or ended
	control  bool // for the controller: others are served only once the broker has joined
}

// call sends a request to a node and gives done its answer, or an error if none comes in time: exactly once, unless the caller's process ends.
// serve runs at the node and gives its answer, at once or later.
func call[A any](from *endpoint, to *node, q request, serve func(reply func(A, error)), done func(A, error)) {
	w := from.w
	finished := false
	deadline := w.now + q.patience
	finish := func(a A, err error) {
		if !finished {
			finished = true
			done(a, err)
		}
	}
	var none A
	from.after(q.patience, func() { finish(none, errTimeout) })
	if !to.up || !q.control && !to.ready && w.mutant != "a broker serves before it has joined" {
		if w.reaches(from, to.endpoint) && w.reaches(to.endpoint, from) {
			from.after(w.delay(from, to.endpoint), func() { finish(none, errRefused) })
		}
		return
	}
	life := from.life
	w.deliver(from, to.endpoint, !q.once, func() {
		if q.once && (w.now >= deadline || from.life != life) {
			return
		}
		serve(func(a A, err error) {
			w.deliver(to.endpoint, from, false, func() {
				if from.life == life {
					finish(a, err)
				}
			})
		})
	})
}

func (e *endpoint) String() string { return fmt.Sprintf("%s/%d", e.name, e.life) }
