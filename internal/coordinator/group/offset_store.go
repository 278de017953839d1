package group

import (
	"cmp"
	"strings"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/timeline"
)

// offsetStore is the committed offsets of all groups of a shard and those that open transactions have staged (GRP-4).
type offsetStore struct {
	reg     *timeline.Registry
	byGroup *timeline.Map[string, *groupOffsets]
	// open is what each producer has staged, by group, until its marker comes.
	open *timeline.Map[kafka.ProducerID, *openTransaction]
	// order numbers the offset records in the order of the log. It only ever compares two of them, so it need not go back with the shard.
	order int64
}

// groupOffsets is the offsets of one group. A group without any has none.
type groupOffsets struct {
	committed *timeline.Map[offsetKey, *offsetCommit]
	staged    *timeline.Map[offsetKey, int32]               // how many open transactions have one staged
	open      *timeline.Map[kafka.ProducerID, *stagedGroup] // of them
}

// openTransaction is what one producer epoch has staged.
type openTransaction struct {
	epoch  kafka.ProducerEpoch
	groups *timeline.Map[string, *stagedGroup]
}

// stagedGroup is what one transaction has staged for one group.
type stagedGroup struct {
	offsets *timeline.Map[offsetKey, *offsetCommit]
}

func newOffsetStore(reg *timeline.Registry) offsetStore {
	return offsetStore{
		reg: reg, byGroup: timeline.NewMap[string, *groupOffsets](reg), open: timeline.NewMap[kafka.ProducerID, *openTransaction](reg),
	}
}

// offsetsOf returns the offsets of a group, made if need be.
func (s *offsetStore) offsetsOf(group string) *groupOffsets {
	g, ok := s.byGroup.Get(group)
	if !ok {
		g = &groupOffsets{
			committed: timeline.NewMap[offsetKey, *offsetCommit](s.reg), staged: timeline.NewMap[offsetKey, int32](s.reg),
			open: timeline.NewMap[kafka.ProducerID, *stagedGroup](s.reg),
		}
		s.byGroup.Set(group, g)
	}
	return g
}

// tidy forgets what a group has when that is nothing.
func (s *offsetStore) tidy(group string, g *groupOffsets) {
	if g.committed.Len() == 0 && g.open.Len() == 0 {
		s.byGroup.Delete(group)
	}
}

// foldOffset folds a commit: at once, or staged if it was written in a transaction. A commit for a group that does not exist makes it, as an
// empty classic group without protocol: a consumer may use a group only to remember offsets.
func (s *Shard) foldOffset(r *offsetCommit, p coordinator.Producer) {
	s.order++
	r.order = s.order
	switch {
	case r.gone:
		s.foldOffsetGone(r)
		return
	case p.ID == kafka.NoProducer:
		s.offsetsOf(r.group).committed.Set(r.offsetKey, r)
	default:
		s.stage(r, p)
	}
	s.ensureSimple(r.group, r.committed)
}

// foldOffsetGone removes an offset, and what transactions have staged for the same partition.
func (s *offsetStore) foldOffsetGone(r *offsetCommit) {
	g, ok := s.byGroup.Get(r.group)
	if !ok {
		return
	}
	g.committed.Delete(r.offsetKey)
	if n, _ := g.staged.Get(r.offsetKey); n > 0 {
		for _, st := range g.open.All() {
			st.offsets.Delete(r.offsetKey)
		}
		g.staged.Delete(r.offsetKey)
	}
	s.tidy(r.group, g)
}

// stage keeps a commit until the marker of its transaction.
func (s *offsetStore) stage(r *offsetCommit, p coordinator.Producer) {
	txn, ok := s.open.Get(p.ID)
	if ok && txn.epoch < p.Epoch {
		// Each transaction ends before its producer gets a newer epoch. What is left of an older one has lost its marker.
		s.endTxn(coordinator.Producer{ID: p.ID, Epoch: txn.epoch}, false)
		ok = false
	}
	if !ok {
		txn = &openTransaction{epoch: p.Epoch, groups: timeline.NewMap[string, *stagedGroup](s.reg)}
		s.open.Set(p.ID, txn)
	}
	g := s.offsetsOf(r.group)
	st, ok := txn.groups.Get(r.group)
	if !ok {
		st = &stagedGroup{offsets: timeline.NewMap[offsetKey, *offsetCommit](s.reg)}
		txn.groups.Set(r.group, st)
		g.open.Set(p.ID, st)
	}
	if _, again := st.offsets.Get(r.offsetKey); !again {
		n, _ := g.staged.Get(r.offsetKey)
		g.staged.Set(r.offsetKey, n+1)
	}
	st.offsets.Set(r.offsetKey, r)
}

// EndTxn folds a transaction marker into the state: what the transaction staged is committed or dropped.
func (s *Shard) EndTxn(p coordinator.Producer, commit bool) { s.endTxn(p, commit) }

// Staged implements coordinator.Staging.
func (s *Shard) Staged(id kafka.ProducerID) (epoch kafka.ProducerEpoch, open bool) {
	txn, open := s.open.Get(id)
	if !open {
		return -1, false
	}
	return txn.epoch, true
}

// endTxn ignores the marker of an epoch older than what is staged: that transaction has ended before. Of an offset committed both inside
// and outside of the transaction the one that stands later in the log counts.
func (s *offsetStore) endTxn(p coordinator.Producer, commit bool) {
	txn, ok := s.open.Get(p.ID)
	if !ok || p.Epoch < txn.epoch {
		return
	}
	s.open.Delete(p.ID)
	for name, st := range txn.groups.All() {
		g := s.offsetsOf(name)
		g.open.Delete(p.ID)
		for key, r := range st.offsets.All() {
			if n, _ := g.staged.Get(key); n > 1 {
				g.staged.Set(key, n-1)
			} else {
				g.staged.Delete(key)
			}
			if old, ok := g.committed.Get(key); commit && (!ok || old.order < r.order) {
				g.committed.Set(key, r)
			}
		}
		s.tidy(name, g)
	}
}

// isStaged reports whether an open transaction has staged an offset of that partition, as of an epoch.
func (g *groupOffsets) isStaged(key offsetKey, at timeline.Epoch) bool {
	n, ok := g.staged.GetAt(key, at)
	return ok && n > 0
}

func (g *groupOffsets) isStagedNow(key offsetKey) bool { return g.isStaged(key, timeline.Latest) }

func (k offsetKey) compare(o offsetKey) int {
	return cmp.Or(cmp.Compare(k.topic, o.topic), cmp.Compare(k.partition, o.partition))
}

// clone is k with bytes of its own, not those of a request.
func (k offsetKey) clone() offsetKey { return offsetKey{strings.Clone(k.topic), k.partition} }
