package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashMode says what a crash does to what was not synced.
type CrashMode int

const (
	LoseUnsynced CrashMode = iota // a power loss at its worst: only what was synced is left
	KeepAll                       // the process died, the machine did not (kill -9): everything is left
	KeepSome                      // a power loss while the system was writing: each block and change is lost, kept or torn, by the dice
)

// sector is what a disk writes whole.
const sector = 512

// Crash returns what is left after a crash at this moment, as a new file system that is at rest: all it holds is synced, nothing is
// open or locked. m goes on unharmed. rng is used by KeepSome only.
//
// Under KeepSome each block written since the file's last Sync has its old content (zeros if it had none), its new, or a mix of both in
// sectors of 512 bytes. The size is the synced one, the current one or any between the smallest since the Sync and the current one.
// Creates, removes and renames that SyncDir did not cover are undone or kept one by one, a rename as a whole, and a later change of a
// name only with the earlier ones of that name. Hooks are not taken over; the capacity is.
func (m *Mem) Crash(rng *rand.Rand, mode CrashMode) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem()
	after.capacity = m.capacity
	c := crash{rng: rng, mode: mode, fs: after, entries: map[*memNode]map[string]*memNode{}}
	for i, keep := range m.survivors(rng, mode) {
		if op := m.pending[i]; keep {
			if op.from.dir != nil {
				delete(c.of(op.from.dir), op.from.name)
			}
			if op.to.dir != nil {
				c.of(op.to.dir)[op.to.name] = op.node
			}
		}
	}
	c.copyDir(m.root, after.root)
	return after
}

type crash struct {
	rng     *rand.Rand
	mode    CrashMode
	fs      *Mem
	entries map[*memNode]map[string]*memNode // of directories with surviving changes
}

// of returns the entries of dir that survive, for changing.
func (c *crash) of(dir *memNode) map[string]*memNode {
	e := c.entries[dir]
	if e == nil {
		e = make(map[string]*memNode, len(dir.durable.entries))
		for name, n := range dir.durable.entries {
			e[name] = n
		}
		c.entries[dir] = e
	}
	return e
}

func (c *crash) copyDir(old, dir *memNode) {
	entries := c.entries[old]
	if entries == nil {
		entries = old.durable.entries
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) { // sorted: one seed, one result
		n := entries[name]
		var child *memNode
		if n.isDir {
			child = newDir()
			c.copyDir(n, child)
		} else {
			child = c.copyFile(n)
		}
		child.linked, child.modified = true, n.modified
		dir.entries[name], dir.durable.entries[name] = child, child
	}
}

func (c *crash) copyFile(n *memNode) *memNode {
	child := &memNode{dirty: map[int]bool{}}
	child.size = c.size(n)
	child.blocks = make([]*memBlock, max((child.size+BlockSize-1)/BlockSize, 0))
	for i := range child.blocks {
		child.blocks[i] = c.block(n, i)
	}
	if tail := int(child.size % BlockSize); tail > 0 {
		if last := len(child.blocks) - 1; child.blocks[last] != nil {
			block := *child.blocks[last]
			clear(block[tail:])
			child.blocks[last] = &block
		}
	}
	child.durable.blocks = append([]*memBlock(nil), child.blocks...)
	child.durable.size, child.minSize = child.size, child.size
	c.fs.used += charge(child.blocks)
	return child
}

func (c *crash) size(n *memNode) int64 {
	switch {
	case c.mode == LoseUnsynced:
		return n.durable.size
	case c.mode == KeepAll:
		return n.size
	}
	switch c.rng.IntN(3) {
	case 0:
		return n.durable.size
	case 1:
		return n.size
	}
	low := min(n.minSize, n.size)
	return low + c.rng.Int64N(n.size-low+1)
}

// block is what is left of block i. The result is shared with m where it will not change there.
func (c *crash) block(n *memNode, i int) *memBlock {
	var synced, current *memBlock
	if i < len(n.durable.blocks) {
		synced = n.durable.blocks[i]
	}
	if i < len(n.blocks) {
		current = n.blocks[i]
	}
	_, dirty := n.dirty[i]
	switch {
	case c.mode == LoseUnsynced || current == synced:
		return synced
	case dirty:
		whole := *current // m will write on
		current = &whole
	}
	if c.mode == KeepAll {
		return current
	}
	if int64(i)*BlockSize >= n.size { // cut off since the Sync, and this crash undid the cut
		return synced
	}
	switch c.rng.IntN(3) {
	case 0:
		return synced
	case 1:
		return current
	}
	return c.tear(synced, current)
}

// tear mixes the sectors of two blocks.
func (c *crash) tear(old, new *memBlock) *memBlock {
	if old == nil {
		old = &zeroBlock
	}
	if new == nil {
		new = &zeroBlock
	}
	mix := *new
	for at := 0; at < BlockSize; at += sector {
		if c.rng.IntN(2) == 0 {
			copy(mix[at:at+sector], old[at:at+sector])
		}
	}
	return &mix
}
