package sim

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// operate lets an operator do something.
func (w *world) operate(kind mishap) {
	at := w.store.leader
	if at == nil || !at.up || at.frozen || !at.ctl.decides {
		return
	}
	img := at.img
	topics := img.Topics.Sorted()
	t := pick(w, topics)
	tp := kafka.TopicPartition{Topic: t.Name, Partition: int32(w.dice.IntN(len(t.Partitions)))}
	n := pick(w, w.nodes)
	at.ctl.submit(func(img *metadata.Image) (records []metadata.Record) {
		switch kind {
		case reassign:
			var target []kafka.BrokerID
			if w.chance(800) {
				for _, i := range w.dice.Perm(len(w.nodes))[:2+w.dice.IntN(2)] {
					target = append(target, nodeID(i))
				}
			}
			w.say("operator: reassign %s to %v", tp, target)
			records, _ = controller.AlterReassignments(at.ctl.env, img, []controller.Reassignment{{TopicPartition: tp, Replicas: target}}, true)
		case preferLeaders:
			w.say("operator: preferred leaders")
			records, _ = controller.ElectLeaders(at.ctl.env, img, controller.PreferredElection, nil)
		default:
			on := w.chance(400)
			w.say("operator: drain %s: %v", n, on)
			records, _ = controller.DrainBroker(at.ctl.env, img, n.id, on)
		}
		return records
	}, func(error) {})
}

// deleteRecords asks the leader of a partition to delete what lies below a committed offset, mostly within a batch, until it is told that this is done
// or has asked some times. At 0 the offset is yet to be chosen.
func (w *world) deleteRecords(tp kafka.TopicPartition, before kafka.Offset) {
	w.tryDelete(tp, before, 0)
}

func (w *world) tryDelete(tp kafka.TopicPartition, before kafka.Offset, tries int) {
	m := w.operator
	again := func() {
		m.forget(tp)
		if tries < 30 || w.calm {
			m.after(w.between(20*time.Millisecond, 150*time.Millisecond), func() { w.tryDelete(tp, before, tries+1) })
		}
	}
	m.leader(tp, func(to *node) {
		call(m.endpoint, to, request{what: "delete records", patience: 500 * time.Millisecond}, func(reply func(kafka.Offset, error)) {
			r := to.replica(tp)
			if r == nil {
				reply(0, kafka.NotLeaderOrFollower)
				return
			}
			if hw := r.p.HighWatermark(); before == 0 && r.p.Role().IsLeader && hw > r.p.LogStart() {
				before = r.p.LogStart() + 1 + kafka.Offset(w.dice.Int64N(int64(hw-r.p.LogStart())))
				if w.chance(700) {
					before = min(before, r.p.LogStart()+1+kafka.Offset(w.dice.IntN(20)))
				}
			}
			if before == 0 {
				reply(0, kafka.NotLeaderOrFollower)
				return
			}
			w.truth.afterEvent() // what is committed so far counts, before it goes
			t := w.truth.part(tp)
			if r.p.Role().IsLeader {
				t.asked = max(t.asked, min(before, r.p.HighWatermark()))
			}
			start, err := r.p.TrimTo(endedContext, before)
			if err == nil {
				w.truth.deleted(r, before)
			}
			reply(start, err)
		}, func(start kafka.Offset, err error) {
			if err != nil {
				again()
				return
			}
			w.say("operator: %s starts at %d, %d was asked for", tp, start, before)
		})
	})
}

// endedContext is for calls that would wait: they are made again instead.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
