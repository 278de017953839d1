package kafkasrv

import "sync"

// maxQueued is how many requests of one connection may wait for their answers; then it is not read from. Some clients send without
// limit, and what they may hold in bytes is the budget's affair.
const maxQueued = 128

// queue holds the requests of a connection that have been read and not been answered, in order (SRV-1).
type queue struct {
	mu       sync.Mutex // guards what is below, for memory work only
	room     sync.Cond
	requests []*request
	writing  bool // a goroutine has the writing role
	waiting  bool // and waits for something that may take minutes
	pending  int  // read and not yet answered on the wire; >= len(requests)
	draining bool
	closed   bool
}

func (q *queue) init() { q.room.L = &q.mu }

// begin counts a request that has been read. It is false when the connection drains: the request is then not to be served.
func (q *queue) begin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.draining || q.closed {
		return false
	}
	q.pending++
	return true
}

// push adds a request that was begun. It reports whether the caller is to write now. When there is no room it waits, but not behind a
// request that may take minutes (errFlood): who does not read does not notice either that the client has gone.
func (q *queue) push(r *request) (write bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.requests) >= maxQueued && !q.closed {
		if q.waiting {
			err = errFlood
			break
		}
		q.room.Wait()
	}
	q.requests = append(q.requests, r) // after an error too: it is freed with the others
	if q.writing {
		return false, err
	}
	q.writing = true
	return true, err
}

// setWaiting says whether the request at the head waits for something that may take minutes.
func (q *queue) setWaiting(waiting bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting = waiting; waiting {
		q.room.Broadcast()
	}
}

// head is the request to answer next, nil if there is none.
func (q *queue) head() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.requests) == 0 {
		return nil
	}
	return q.requests[0]
}

// pop removes the head.
func (q *queue) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := copy(q.requests, q.requests[1:])
	q.requests[n] = nil
	q.requests = q.requests[:n]
	q.room.Signal()
}

// answered counts n requests as answered. It reports whether the connection has drained.
func (q *queue) answered(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending -= n
	return q.draining && q.pending == 0
}

// endWriting gives up the writing role if there is nothing to write; it is false if something has come meanwhile.
func (q *queue) endWriting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.requests) > 0 {
		return false
	}
	q.writing = false
	if cap(q.requests) > 8 {
		q.requests = nil // an idle connection keeps nothing of its busy time
	}
	return true
}

// drain refuses requests from now on. It reports whether nothing is left to answer.
func (q *queue) drain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = true
	return q.pending == 0
}

// busy is how many requests wait for their answers.
func (q *queue) busy() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.room.Broadcast()
}

// drop frees what was not answered. Both goroutines have ended.
func (q *queue) drop() {
	for _, r := range q.requests {
		r.free()
	}
	q.requests = nil
}
