package sim

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// sharer is a member of a share group: it takes records, and accepts, rejects or gives back most of them; of some it says nothing.
type sharer struct {
	*machine
	tp kafka.TopicPartition
}

func (w *world) newSharer(name string, tp kafka.TopicPartition) *sharer {
	return &sharer{machine: w.newMachine(name), tp: tp}
}

func (s *sharer) start() { s.fetch() }

func (s *sharer) again(least, most time.Duration) { s.after(s.w.between(least, most), s.fetch) }

func (s *sharer) fetch() {
	s.leader(s.tp, func(to *node) {
		most := 1 + s.w.dice.IntN(60)
		call(s.endpoint, to, request{what: "share fetch", patience: 700 * time.Millisecond, once: true}, func(reply func([]share.AcquiredRange, error)) {
			reply(to.acquire(s.tp, s.name, most))
		}, func(got []share.AcquiredRange, err error) {
			switch {
			case err != nil:
				if kafka.CodeOf(err) != kafka.CoordinatorLoadInProgress {
					s.forget(s.tp)
				}
				s.again(20*time.Millisecond, 150*time.Millisecond)
			case len(got) == 0:
				s.again(50*time.Millisecond, 250*time.Millisecond)
			default:
				s.after(s.w.between(time.Millisecond, 100*time.Millisecond), func() { s.settle(to, got) })
			}
		})
	})
}

// settle says what is to become of what the member has.
func (s *sharer) settle(to *node, got []share.AcquiredRange) {
	var acks []share.Ack
	for _, g := range got {
		typ := share.AckAccept
		switch n := s.w.dice.IntN(100); {
		case s.w.calm:
		case n < 10:
			continue
		case n < 25:
			typ = share.AckRelease
		case n < 32:
			typ = share.AckReject
		}
		acks = append(acks, share.Ack{First: g.First, Last: g.Last, Types: []int8{typ}})
	}
	if len(acks) == 0 {
		s.again(5*time.Millisecond, 60*time.Millisecond)
		return
	}
	s.w.truth.shareAsked(s.tp, acks)
	call(s.endpoint, to, request{what: "share acknowledge", patience: 900 * time.Millisecond, once: true}, func(reply func(bool, error)) {
		to.acknowledge(s.tp, s.name, acks, func(err error) { reply(err == nil, err) })
	}, func(_ bool, err error) {
		if err == nil {
			s.w.truth.shareAccepted(s.tp, acks)
		} else {
			s.forget(s.tp)
		}
		s.again(5*time.Millisecond, 60*time.Millisecond)
	})
}

func (s *sharer) atRest() string {
	_, state, _ := s.w.store.image().Partition(s.tp)
	for _, sp := range s.w.nodes[state.Leader-1].shares {
		if sp.r.tp == s.tp && !sp.isOver() && sp.state != nil && sp.state.Start() == sp.r.p.HighWatermark() {
			return ""
		}
	}
	return "the share group has records of " + s.tp.String() + " that are not done"
}

// finally sees that no record was passed over (SIM-12).
func (s *sharer) finally() { s.w.truth.shareComplete(s.tp) }
