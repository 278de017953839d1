package broker

import (
	"sync"

	"github.com/rafka-io/rafka/internal/storage"
)

// room bounds the bytes of records that fetches hold until their answers are written: consumers that ask for much and read nothing would
// otherwise hold as much memory as they like (BRK-4). Half of what is free is the most that one fetch gets, so that a few greedy ones leave
// something to the next. While nothing is free fetches wait, and answer without records when they have waited as long as they were asked to.
type room struct {
	limit int64 // bytes

	mu    sync.Mutex    // guards what is below, for memory work only
	held  int64         // reserved or in answers; may pass limit, since a fetch gets at least one batch, however large
	freed chan struct{} // not nil while someone waits; closed when held falls
}

// take reserves up to most bytes and returns how many. If there are none, freed is
// closed when that may have changed.
func (r *room) take(most int) (n int, freed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held >= r.limit && most > 0 {
		if r.freed == nil {
			r.freed = make(chan struct{})
		}
		return 0, r.freed
	}
	n = int(min(int64(max(most, 0)), max((r.limit-r.held+1)/2, 0)))
	r.held += int64(n)
	return n, nil
}

// settle turns a reservation into what is really held.
func (r *room) settle(reserved int, held int64) { r.add(held - int64(reserved)) }

func (r *room) add(n int64) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += n
	if n < 0 && r.freed != nil && r.held < r.limit {
		close(r.freed)
		r.freed = nil
	}
}

// full reports whether fetches have to wait for what others hold.
func (r *room) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held >= r.limit
}

// An extent keeps more memory from being used than it has bytes: blocks of up to blockBytes, of which it may have only a part. Extents below
// copiedBytes are copied on their way out and hold nothing while the client does not read. A fetch of many partitions, whose blocks are
// small, is charged for a few blocks only.
const (
	blockBytes  = 1 << 20
	copiedBytes = 32 << 10
	mostBlocks  = 8
)

// charge is what an extent of n bytes counts for; blocks is how many were charged in the same fetch.
func charge(n int, blocks *int) int64 {
	if n <= copiedBytes || *blocks == mostBlocks {
		return int64(n)
	}
	*blocks++
	return int64(n) + blockBytes
}

// roomed is an extent that gives its room back. One goroutine releases it, once or more often.
type roomed struct {
	storage.Extent
	room *room
	held int64
}

// Release implements storage.Extent.
func (x *roomed) Release() {
	x.Extent.Release()
	x.room.add(-x.held)
	x.held = 0
}

// FetchCrowded reports whether answers that are not read hold so much that other fetches have to wait: a door may then end connections that
// have not read for a while.
func (b *Broker) FetchCrowded() bool { return b.room.full() }
