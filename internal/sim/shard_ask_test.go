package sim

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
)

// ask runs an operation and gives its answer once it is committed.
func ask[S coordinator.Shard, A any](h *shard[S], reply func(A, error), fn func(s S, op *coordinator.Op) A) {
	var a, none A
	if h == nil {
		reply(none, errGone)
		return
	}
	now := true
	err := h.run(func(s S, op *coordinator.Op) { a = fn(s, op) }, func(err error) {
		if now && err == nil {
			err = h.leads()
		}
		reply(a, err)
	})
	now = false
	if err != nil {
		reply(none, err)
	}
}

// askLater is ask for answers that the shard may give in a later operation.
func askLater[S coordinator.Shard, A any](h *shard[S], reply func(A, error), fn func(s S, op *coordinator.Op, later *coordinator.Reply[A])) {
	var none A
	if h == nil {
		reply(none, errGone)
		return
	}
	later := coordinator.NewReply[A]()
	if err := h.run(func(s S, op *coordinator.Op) { fn(s, op, later) }, nil); err != nil {
		reply(none, err)
		return
	}
	w, n, life, load := h.n.w, h.n, h.n.life, h.loads
	w.until(func() bool {
		select {
		case <-later.Done():
			if n.life == life {
				reply(later.Result())
			}
			return true
		default:
		}
		if n.life != life || h.loads != load {
			if n.life == life {
				reply(none, errGone)
			}
			return true
		}
		return false
	})
}

// leads is nil while nobody else can coordinate what this node does (COR-8).
func (h *shard[S]) leads() error {
	if r := h.replica(); r == nil || r.p.Leads(h.epoch) != nil && h.n.w.mutant != "a coordinator reads without a lease" {
		return errGone
	}
	return nil
}

// look reads what is committed.
func look[S coordinator.Shard, A any](h *shard[S], fn func(s S, v coordinator.View) A) (a A, err error) {
	if h == nil {
		return a, errGone
	}
	if err := h.serves(); err != nil {
		return a, err
	}
	h.reg.Snapshot(h.seq)
	a = fn(h.shard, coordinator.View{Now: h.n.clock(), Image: h.n.img, Committed: h.committed(), Partition: h.partition})
	return a, h.leads()
}

func shardOf[S coordinator.Shard](list []*shard[S], key string, partitions int32) *shard[S] {
	p := coordinator.PartitionOf(key, partitions)
	for _, h := range list {
		if h.partition == p {
			return h
		}
	}
	return nil
}

func (n *node) groupShard(name string) *shard[*group.Shard] {
	return shardOf(n.coords.groups, name, internalPartitions)
}
func (n *node) txnShard(id string) *shard[*txn.Shard] {
	return shardOf(n.coords.txns, id, internalPartitions)
}

// internalPartitions is how many partitions each internal topic has.
const internalPartitions = 2
