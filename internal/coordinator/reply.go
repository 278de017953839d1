package coordinator

import "sync/atomic"

// Reply takes the answer of one request, once; giving it again does nothing. A shard may keep it (JoinGroup) and give it in a later operation. The
// answer leaves when the records of the operation that gave it are committed (COR-2).
type Reply[A any] struct {
	answer   A
	given    bool        // guarded by the shard's lock
	released atomic.Bool // the answer, or an error, has left
	err      error
	done     chan struct{}
}

// NewReply returns a Reply that nobody has given; for the runtime and for coordtest.
func NewReply[A any]() *Reply[A] { return &Reply[A]{done: make(chan struct{})} }

// Give gives the answer.
func (r *Reply[A]) Give(op *Op, a A) {
	if r.given {
		return
	}
	r.answer, r.given = a, true
	op.done.Replies = append(op.done.Replies, r)
}

// Release lets the answer go, or err in its place. The first call counts.
func (r *Reply[A]) Release(err error) {
	if r.released.CompareAndSwap(false, true) {
		r.err = err
		close(r.done)
	}
}

// Done is closed when the answer has left.
func (r *Reply[A]) Done() <-chan struct{} { return r.done }

// Result is the answer once Done is closed.
func (r *Reply[A]) Result() (A, error) {
	if r.err != nil {
		var none A
		return none, r.err
	}
	return r.answer, nil
}
