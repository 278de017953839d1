package controller

import (
	"maps"
	"reflect"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Registration is what a broker says of itself when it joins or comes back.
type Registration struct {
	// Broker is who and where it is. Its Epoch, Fenced, ShuttingDown and Draining are ignored; Incarnation is new for each process.
	Broker metadata.Broker
	// ClusterID is the cluster it believes to be in; "": it has no belief yet.
	ClusterID string
	// Features is the highest level of each feature that it understands.
	Features map[string]int16
	// Replaces: it holds the one data directory that the id belongs to, so the process before it has ended, whatever its lease says.
	Replaces bool
	// EmptyDisk: its directory is new, so nothing that was ever on it is there.
	EmptyDisk bool
}

// RegisterBroker makes the records by which a broker joins, fenced until UnfenceBroker, and its epoch, which is higher than every one
// before. What an earlier process of that id was in sync with it still has, because it was durable before it was acknowledged; with an
// empty disk it is in sync with nothing, and a partition that it alone had stays without a leader until an unclean election.
//
// The same incarnation again gets the same epoch, and records only if its addresses or its rack have changed. The broker of a cluster of
// one, which has no incarnation, is taken over as it is, so that it goes on leading.
//
// Errors: InvalidRegistration, InconsistentClusterID, UnsupportedVersion (it does not understand a finalized feature level),
// DuplicateBrokerRegistration (another process has the id and is not fenced, and r does not replace it).
func RegisterBroker(env *Env, img *metadata.Image, r Registration) ([]metadata.Record, int64, error) {
	if err := checkRegistration(img, &r); err != nil {
		return nil, -1, err
	}
	b, was := r.Broker, img.Brokers[r.Broker.ID]
	b.Epoch, b.Fenced, b.ShuttingDown, b.Draining = int64(img.Offset)+1, true, false, false
	if b.Features = nil; img.Features[metadata.FeatureVersion] >= metadata.LevelBrokerFeatures {
		b.Features = maps.Clone(r.Features) // brokers of before could not read the record
	}
	c := newChanges(env, img)
	if was == nil {
		c.broker(b)
		return c.records, b.Epoch, nil
	}
	b.Draining = was.Draining
	if was.Incarnation == b.Incarnation || was.Incarnation.IsZero() && !was.Fenced && !r.EmptyDisk {
		b.Epoch, b.Fenced, b.ShuttingDown = was.Epoch, was.Fenced, was.ShuttingDown
		if !reflect.DeepEqual(*was, b) {
			c.broker(b)
		}
		return c.records, b.Epoch, nil
	}
	if !was.Fenced && !was.Incarnation.IsZero() && !r.Replaces {
		return nil, -1, kafka.Errorf(kafka.DuplicateBrokerRegistration, "Another broker is registered with that broker id: %d. If it is the process before this one, its lease ends in a moment; else give this one another node.id.", b.ID)
	}
	b.Epoch = max(b.Epoch, was.Epoch+1)
	c.broker(b)
	if !was.Fenced {
		c.made = map[partitionKey]metadata.Partition{} // an empty disk changes some of them once more
		c.leave(b.ID)
	}
	if r.EmptyDisk {
		c.wipe(b.ID)
	}
	return c.records, b.Epoch, nil
}

func checkRegistration(img *metadata.Image, r *Registration) error {
	if r.Broker.ID < 0 || r.Broker.Incarnation.IsZero() {
		return kafka.Errorf(kafka.InvalidRegistration, "a broker needs an id of 0 or more and an incarnation to register, not %d and %s", r.Broker.ID, r.Broker.Incarnation)
	}
	if r.ClusterID != "" && img.ClusterID != "" && r.ClusterID != img.ClusterID {
		return kafka.Errorf(kafka.InconsistentClusterID, "Expected cluster ID %s, but got cluster ID %s", img.ClusterID, r.ClusterID)
	}
	for _, name := range slices.Sorted(maps.Keys(img.Features)) {
		if level := img.Features[name]; r.Features[name] < level {
			return kafka.Errorf(kafka.UnsupportedVersion, "broker %d knows %s up to level %d, and the cluster is at level %d; start a newer release there", r.Broker.ID, name, r.Features[name], level)
		}
	}
	return nil
}

// wipe takes a broker out of all that it was in sync with or eligible for. It is not bounded: half a wipe would let the broker lead what
// it no longer has.
func (c *changes) wipe(id kafka.BrokerID) {
	counts := func(p *metadata.Partition) bool { return slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id) }
	for _, t := range topicsWith(c.img, counts) {
		for i := range t.Partitions {
			p := c.partition(t, int32(i))
			if !counts(p) {
				continue
			}
			g := asIs(p)
			g.wiped = id
			g.isr = c.keep(p.ISR, func(other kafka.BrokerID) bool { return other != id })
			if next, changed := c.settle(t, p, g); changed {
				c.put(t, int32(i), next)
			}
		}
	}
}
