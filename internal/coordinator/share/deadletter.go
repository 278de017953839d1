package share

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Reason says why a record goes to the dead-letter topic.
type Reason uint8

// Rejected: by a consumer. UsedUp: DeliveryLimit deliveries and no acknowledgement. Resumed: on its way when the state was read; why, is no
// longer known.
const (
	Rejected Reason = iota + 1
	UsedUp
	Resumed
)

// DeadLetter is a stretch of records to write to the dead-letter topic. Last is included.
type DeadLetter struct {
	First, Last kafka.Offset
	Count       int16 // deliveries
	Reason      Reason
}

// DeadLetters appends to got what has come for the dead-letter topic since the last call. Each is given out once: it is Archiving, durably, until
// DeadLettered. There are none without Settings.DeadLetter, except what was on its way before.
func (p *Partition) DeadLetters(got []DeadLetter) []DeadLetter {
	got = append(got, p.dead...)
	p.dead = p.dead[:0]
	return got
}

// DeadLettered says that the records are in the dead-letter topic, or that they cannot be written there: they are archived either way, as in Kafka.
func (p *Partition) DeadLettered(_ time.Time, first, last kafka.Offset) {
	for w := p.walk(first, last); ; {
		r, ok := w.next()
		if !ok {
			break
		}
		if r.s.state != Archiving || !r.s.isTold {
			continue
		}
		p.set(r, slot{state: Archived, count: r.s.count})
		p.touch(r.first(), r.last())
		p.hasWoken = true
	}
	p.settle()
}

// tellArchiving gives out what is Archiving, durably now.
func (p *Partition) tellArchiving(spans []span) {
	if p.archiving == 0 {
		return
	}
	for _, sp := range spans {
		for w := p.walk(sp.first, sp.last); ; {
			r, ok := w.next()
			if !ok {
				break
			}
			if r.s.state != Archiving || r.s.isTold {
				continue
			}
			s := r.s
			s.isTold = true
			p.set(r, s)
			p.dead = append(p.dead, DeadLetter{r.first(), r.last(), s.count, s.reason})
		}
	}
}
