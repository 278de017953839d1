package sim

import (
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
