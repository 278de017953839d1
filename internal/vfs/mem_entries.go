package vfs

import (
	"math/rand/v2"
	"time"
)

// entryOp is one change of directory entries: create (to), remove (from) or rename (both). It is lost or kept whole.
type entryOp struct {
	from, to entry // a zero entry: none
	node     *memNode
	synced   [2]bool // whether the directory of from, of to, was synced since
}

type entry struct {
	dir  *memNode
	name string
}

// apply does op for the running processes and remembers it as not durable.
func (m *Mem) apply(op *entryOp) {
	if op.from.dir != nil {
		delete(op.from.dir.entries, op.from.name)
		op.from.dir.modified = time.Now()
	}
	if op.to.dir != nil {
		if old := op.to.dir.entries[op.to.name]; old != nil {
			old.linked = false
			m.reclaim(old)
		}
		op.to.dir.entries[op.to.name] = op.node
		op.to.dir.modified = time.Now()
	} else {
		op.node.linked = false
		m.reclaim(op.node)
	}
	m.pending = append(m.pending, op)
}

// reclaim gives back the space of a file that nobody can reach any more. Its content stays for a Crash that undoes the removal.
func (m *Mem) reclaim(n *memNode) {
	if !n.linked && n.opens == 0 {
		m.used -= charge(n.blocks)
	}
}

func charge(blocks []*memBlock) (bytes int64) {
	for _, b := range blocks {
		if b != nil {
			bytes += BlockSize
		}
	}
	return bytes
}

// syncEntries makes the changes of dir durable. A rename between two directories is durable once both were synced.
func (m *Mem) syncEntries(dir *memNode) {
	keep := make([]bool, len(m.pending))
	for i, op := range m.pending {
		op.synced[0] = op.synced[0] || op.from.dir == nil || op.from.dir == dir
		op.synced[1] = op.synced[1] || op.to.dir == nil || op.to.dir == dir
		keep[i] = op.synced[0] && op.synced[1]
	}
	m.require(keep)
	rest := m.pending[:0]
	for i, op := range m.pending {
		if keep[i] {
			op.harden()
		} else {
			rest = append(rest, op)
		}
	}
	clear(m.pending[len(rest):])
	m.pending = rest
}

// require adds to the kept changes the earlier ones of the same names: a journal never shows a later change of a name without an
// earlier one, else the old file under a name could vanish together with the new.
func (m *Mem) require(keep []bool) {
	needed := map[entry]bool{}
	for i := len(m.pending) - 1; i >= 0; i-- {
		op := m.pending[i]
		if !keep[i] && !needed[op.from] && !needed[op.to] {
			continue
		}
		keep[i] = true
		for _, e := range []entry{op.from, op.to} {
			if e.dir != nil {
				needed[e] = true
			}
		}
	}
}

// harden does op in what a power loss leaves.
func (op *entryOp) harden() {
	if op.from.dir != nil {
		delete(op.from.dir.durable.entries, op.from.name)
	}
	if op.to.dir != nil {
		op.to.dir.durable.entries[op.to.name] = op.node
	}
}

// survivors chooses which pending changes a crash keeps.
func (m *Mem) survivors(rng *rand.Rand, mode CrashMode) []bool {
	keep := make([]bool, len(m.pending))
	for i := range keep {
		keep[i] = mode == KeepAll || mode == KeepSome && rng.IntN(2) == 0
	}
	m.require(keep)
	return keep
}
