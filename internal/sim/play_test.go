package sim

import (
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// play runs a world to its end, and says what was violated.
func (w *world) play() (found violation) {
	defer func() {
		if v := recover(); v != nil {
			var ok bool
			if found, ok = v.(violation); !ok {
				panic(v)
			}
		}
	}()
	w.run(1500*time.Millisecond + w.plan.length)
	w.heal()
	end := w.now + quietPatience
	why := "?"
	for w.now < end && why != "" {
		w.run(w.now + 250*time.Millisecond)
		why = w.truth.atRest()
	}
	if why != "" {
		w.dump()
		w.fail("after %v without a fault %s", quietPatience, why)
	}
	w.say("at rest")
	w.truth.finally()
	return ""
}

// heal ends all faults.
func (w *world) heal() {
	w.say("everything is healed")
	w.calm, w.loss, w.extra = true, 0, 0
	for i := range w.cut {
		clear(w.cut[i])
	}
	for _, n := range w.nodes {
		n.disk.slow = 0
		n.thaw()
		if n.up && n.stopping {
			n.crash(false)
		}
		if !n.up {
			n.start()
		}
	}
	w.after(3*time.Second, w.undrain)
	// What was not answered is asked for again, so that it is clear what is left.
	for _, p := range w.truth.parts {
		if p.asked > 0 {
			w.deleteRecords(p.tp, p.asked)
		}
	}
}

// undrain has no broker be drained any more.
func (w *world) undrain() {
	at := w.store.leader
	if at == nil || !at.ctl.decides {
		w.after(time.Second, w.undrain)
		return
	}
	at.ctl.submit(func(img *metadata.Image) (all []metadata.Record) {
		for _, n := range w.nodes {
			records, _ := controller.DrainBroker(at.ctl.env, img, n.id, false)
			all = append(all, records...)
		}
		return all
	}, func(err error) {
		if err != nil {
			w.after(time.Second, w.undrain)
		}
	})
}

// dump says how everything is.
func (w *world) dump() {
	img := w.store.image()
	for _, t := range img.Topics.Sorted() {
		for i := range t.Partitions {
			w.say("%s-%d %+v", t.Name, i, t.Partitions[i])
			for _, n := range w.nodes {
				if r := n.replica(kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}); r != nil && r.log() != nil {
					w.say("  %s: high watermark %d, stable %d, log %d to %d, durable %d, leads %v", n, r.p.HighWatermark(), r.p.LastStable(), r.log().start, r.log().end, r.log().durable, r.p.Role().IsLeader)
				}
			}
		}
	}
	for _, id := range brokerIDs(img) {
		w.say("broker %+v, lease %v, applied %d of %d", *img.Brokers[id], w.nodes[id-1].lease(), w.nodes[id-1].applied, w.store.head())
	}
}
