package sim

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// producer writes to one partition: with acks=all as an idempotent producer with several batches under way, or with acks=1 and no promises.
type producer struct {
	*machine
	tp     kafka.TopicPartition
	pid    kafka.ProducerID // NoProducer: acks=1
	next   kafka.Sequence
	window int
	flight []*sending // in order
	done   int
}

type sending struct {
	raw  []byte
	done bool
}

func (w *world) newProducer(name string, tp kafka.TopicPartition, idempotent bool) *producer {
	p := &producer{machine: w.newMachine(name), tp: tp, pid: kafka.NoProducer, window: 1}
	if idempotent {
		w.ids++
		p.pid, p.window = kafka.ProducerID(w.ids), 1+w.dice.IntN(4)
	}
	return p
}

func (p *producer) start() { p.pump() }

// pump sends what is to be sent, and makes up more.
func (p *producer) pump() {
	pause := p.w.between(2*time.Millisecond, 60*time.Millisecond)
	window := p.window
	if p.done == 0 {
		window = 1 // a broker takes any sequence of a producer that it does not know
	}
	if len(p.flight) < window && !p.w.calm {
		o := record.PlainOptions()
		n := 1 + p.w.dice.IntN(3)
		if p.pid >= 0 {
			o.ProducerID, o.ProducerEpoch, o.BaseSequence = p.pid, 0, p.next
			p.next = p.next.Add(int32(n))
		}
		s := &sending{raw: p.batch(o, n)}
		p.flight = append(p.flight, s)
		p.send(s)
	}
	p.after(pause, p.pump)
}

func (p *producer) send(s *sending) {
	p.leader(p.tp, func(to *node) {
		call(p.endpoint, to, request{what: "produce", patience: 2 * time.Second}, func(reply func(produced, error)) {
			to.append(p.tp, s.raw, p.pid >= 0, partition.TxnGuard{}, reply)
		}, func(a produced, err error) {
			switch {
			case err == nil:
				if p.pid >= 0 {
					p.w.truth.acknowledged(p.name, p.tp, a.base, crcOf(s.raw))
				}
				p.finish(s)
			case p.pid < 0:
				p.forget(p.tp)
				p.finish(s) // nobody knows, and nobody cares
			default:
				if kafka.CodeOf(err) == kafka.OutOfOrderSequenceNumber {
					p.w.say("%s: a batch is refused by %s: %v", p.name, to, err)
				}
				p.forget(p.tp)
				p.after(p.w.between(5*time.Millisecond, 60*time.Millisecond), func() { p.send(s) })
			}
		})
	})
}

func (p *producer) finish(s *sending) {
	s.done = true
	// A broker knows the last five batches again: none is sent that is further from the first that nobody has answered.
	for len(p.flight) > 0 && p.flight[0].done {
		p.flight = p.flight[1:]
	}
	p.done++
}

func (p *producer) atRest() string {
	if len(p.flight) > 0 {
		return p.name + " has batches under way"
	}
	return ""
}

func (p *producer) finally() {}
