package seglog

import (
	"sync/atomic"
)

// block is a run of one segment's bytes in memory: file positions [pos+lo, pos+n). Blocks of the tail are written by Append and to the
// segment by a flush; blocks read from disk are whole when made. Bytes below n never change, so readers need only a reference.
type block struct {
	mem
	pool *pool // nil: the memory is the garbage collector's
	seg  *segment
	pos  int64 // file position of buf[0], a multiple of vfs.BlockSize
	lo   int   // buf[:lo] is not filled: the tail was taken up in the middle of a file block
	n    int   // guarded by Log.mu while the block is the tail's last
	// flushed: buf[:flushed] is in the segment's file. Guarded by Log.mu.
	flushed int
	queued  bool          // in the queue of blocks that may be evicted; guarded by Log.mu
	reading *atomic.Int64 // the engine's count of bytes that readers hold, for blocks read from disk
	refs    atomic.Int32  // one for being in a tail or in the read cache, one for each reader
}

func newBlock(p *pool, m mem, seg *segment, pos int64) *block {
	b := &block{mem: m, pool: p, seg: seg, pos: pos}
	b.refs.Store(1)
	return b
}

func (b *block) start() int64 { return b.pos + int64(b.lo) }
func (b *block) room() int    { return len(b.buf) - b.n }
func (b *block) full() bool   { return b.n == len(b.buf) }

func (b *block) acquire() { b.refs.Add(1) }

func (b *block) release() {
	switch n := b.refs.Add(-1); {
	case n == 0:
		m := b.mem
		b.mem = mem{}
		if b.reading != nil {
			b.reading.Add(-int64(len(m.buf)))
		}
		if b.pool != nil {
			b.pool.put(m)
		}
	case n < 0:
		panic("seglog: a block was released more often than acquired")
	}
}
