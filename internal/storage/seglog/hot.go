package seglog

import (
	"container/list"
	"sync"
)

// hot is the queue of blocks that may be evicted: all their bytes are in segments. The oldest goes first.
type hot struct {
	turn sync.Mutex // one evicts at a time: a block can only be dropped when those before it in its tail are. Taken before Log.mu.

	mu sync.Mutex // leaf; guards q
	q  list.List  // of hotBlock
}

type hotBlock struct {
	log *Log
	b   *block
}

// add queues a block of l's tail that has just been flushed. The caller holds l.mu.
func (h *hot) add(l *Log, b *block) {
	if b.queued {
		return
	}
	b.queued = true
	h.mu.Lock()
	h.q.PushBack(hotBlock{l, b})
	h.mu.Unlock()
}

// evict takes the oldest block out of its log's tail. False: there is none to take.
func (h *hot) evict() bool {
	h.turn.Lock()
	defer h.turn.Unlock()
	for {
		h.mu.Lock()
		front := h.q.Front()
		if front == nil {
			h.mu.Unlock()
			return false
		}
		hb := h.q.Remove(front).(hotBlock)
		h.mu.Unlock()
		if hb.log.dropHead(hb.b) {
			return true
		}
	}
}

// dropHead releases the tail's oldest block if it is b and nothing in it is unwritten. The block behind it is queued again if it was passed over before:
// nobody else would do that for one that is full.
func (l *Log) dropHead(b *block) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.queued = false
	if len(l.tail) == 0 || l.tail[0] != b || b.flushed < b.n {
		return false
	}
	b.release()
	n := copy(l.tail, l.tail[1:])
	l.tail[n] = nil
	l.tail = l.tail[:n]
	if n > 0 && l.tail[0].flushed == l.tail[0].n {
		l.e.hot.add(l, l.tail[0])
	}
	return true
}
