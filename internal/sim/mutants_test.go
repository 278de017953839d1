package sim

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/seed"
)

// mutants are protocol bugs that other systems had, or that this one would have without one of its rules. Each is put in at a seam of the simulation,
// not into the code that is under test.
var mutants = []mutant{
	{name: "the high watermark ignores min.insync.replicas"},
	{name: "any majority commits"},
	{name: "a follower fetches before its sync"},
	{name: "a follower truncates to its high watermark"},
	{name: "a follower does not compare epochs"},
	{name: "a deposed leader goes on"},
	{name: "leaders from outside the ISR"},
	{name: "a replica joins below the start of the epoch"},
	{name: "the partition epoch is not looked at", theme: network, seldom: true},
	{name: "broker epochs are not looked at", theme: disks},
	{name: "producers are forgotten at a failover"},
	{name: "a marker goes to one partition only"},
	{name: "an empty disk counts as a full one", theme: disks},
	{name: "a broker serves before it has joined"},
	{name: "a stale controller commits"},
	{name: "who is about to join does not count"},
	{name: "a late marker ends the next transaction", theme: failovers, seldom: true},
	{name: "a replica that is taken away ends no epoch", theme: operators, seldom: true},
	{name: "a follower deletes what it has read"},
	{name: "a deletion is answered before the followers make it", theme: operators},
	{name: "a deletion is not durable", theme: failovers},
	{name: "a share group skips what was not acknowledged"},
	{name: "a failed write makes a share partition begin anew"},
	{name: "an acknowledgement is answered before it is written", theme: failovers},
	{name: "a share partition is given without a lease", theme: network, seldom: true},
	{name: "a coordinator answers before the commit"},
	{name: "a coordinator serves what is not committed", theme: failovers, seldom: true},
	{name: "a coordinator reads without a lease", theme: network, seldom: true},
}

// mutant is one of them.
type mutant struct {
	name  string
	theme theme // that lets it show soonest
	// seldom: it takes too many runs for every day, and is looked for when many are asked for.
	seldom bool
}

// A mutant is found in so many runs.
const fewRuns, manyRuns = 80, 2000

// SIM-10
func TestKnownBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			runs := fewRuns
			if m.seldom {
				if runs = manyRuns; os.Getenv("RAFKA_SIM_SEEDS") == "" {
					t.Skip("RAFKA_SIM_SEEDS asks for no more than usual")
				}
			}
			first := seed.Of(t)
			for i := range uint64(runs) {
				w := newWorld(first+i, m)
				w.trace.all = os.Getenv("RAFKA_SIM_TRACE") != ""
				if v := w.play(); v != "" {
					t.Logf("in run %d, RAFKA_SEED=%d: %s", i+1, w.seed, v)
					return
				}
			}
			t.Errorf("not found in %d runs", runs)
		})
	}
}

// mutateRole changes what a replica takes its role to be.
func (r *replica) mutateRole(was, role *partition.Role) {
	if r.n.w.mutant == "a deposed leader goes on" && was.IsLeader && !role.IsLeader {
		*role = *was
		role.ISR, role.ELR = []kafka.BrokerID{r.n.id}, nil
		role.PartitionEpoch++
	}
}

// mutateServed lets a leader draw wrong conclusions from a fetch that it has served.
func (r *replica) mutateServed(q *partition.ReadRequest) {
	role := r.p.Role()
	if !role.IsLeader || role.Epoch != q.CurrentEpoch {
		return
	}
	switch r.n.w.mutant {
	case "any majority commits":
		for _, id := range role.Replicas {
			if id == r.n.id || id == q.Replica {
				continue
			}
			other := *q
			other.Replica, other.ReplicaEpoch, other.FetchedEpoch, other.MaxBytes, other.AtLeastOne = id, -1, kafka.NoEpoch, 0, false
			_, _ = r.p.Read(other)
		}
	case "a replica joins below the start of the epoch":
		if !slices.Contains(role.ISR, q.Replica) && q.From >= r.p.HighWatermark() && r.joiner == kafka.NoBroker {
			r.joiner = q.Replica
			r.n.proposeSoon()
		}
	}
}

// mutatePropose has a leader propose what it must not.
func (r *replica) mutatePropose() (q partition.ISRProposal, ok bool) {
	role := r.p.Role()
	if r.joiner == kafka.NoBroker || slices.Contains(role.ISR, r.joiner) {
		return q, false
	}
	q = partition.ISRProposal{Partition: r.p.ID(), Epoch: role.Epoch, PartitionEpoch: role.PartitionEpoch}
	for _, id := range append(slices.Clone(role.ISR), r.joiner) {
		q.ISR = append(q.ISR, partition.ISRMember{ID: id, Epoch: -1})
	}
	r.joiner = kafka.NoBroker
	return q, true
}

// mutateAlter has the controller overlook something in a proposal.
func (w *world) mutateAlter(img *metadata.Image, c *controller.ISRChange) {
	switch w.mutant {
	case "the partition epoch is not looked at":
		if t := img.Topics.ByID(c.TopicID); t != nil {
			c.PartitionEpoch = t.Partitions[c.Partition].PartitionEpoch
		}
	case "broker epochs are not looked at":
		for i := range c.ISR {
			c.ISR[i].Epoch = -1
		}
	}
}

// mutateLeader has a new leader forget the producers.
func (r *replica) mutateLeader() {
	n := r.n
	if n.w.mutant != "producers are forgotten at a failover" || r.log() == nil || r.log().end == 0 {
		return
	}
	role, id, l := r.p.Role(), r.p.ID(), r.log()
	_ = r.p.Close(n.context())
	r.p = partition.New(id, &n.host, n.settings(), &partition.Stats{})
	r.hw = 0
	r.p.SetRole(role)
	l.amnesia = true
	_, _, _ = r.p.GuardTxn(1<<40, 0, 0, false, 0)
	l.amnesia = false
}

// mutateRecords changes what the controller has decided.
func (w *world) mutateRecords(img *metadata.Image, records []metadata.Record) {
	if w.mutant != "a replica that is taken away ends no epoch" {
		return
	}
	for _, r := range records {
		c, ok := r.(*metadata.PartitionChangeRecord)
		if !ok {
			continue
		}
		if was := &img.Topics.ByID(c.TopicID).Partitions[c.Partition]; c.State.Leader == was.Leader && c.State.LeaderEpoch == was.LeaderEpoch+1 {
			c.State.LeaderEpoch--
		}
	}
}
