package coordtest

import "github.com/rafka-io/rafka/internal/coordinator"

// Ask runs an operation that answers at once.
func Ask[S coordinator.Shard, A any](h *Harness[S], fn func(s S, op *coordinator.Op) A) (answer A, err error) {
	h.t.Helper()
	_, err = h.Do(func(s S, op *coordinator.Op) { answer = fn(s, op) })
	return answer, err
}

// Answer is one that may come later.
type Answer[A any] struct{ reply *coordinator.Reply[A] }

// Later runs an operation that may answer later.
func Later[S coordinator.Shard, A any](h *Harness[S], fn func(s S, op *coordinator.Op, reply *coordinator.Reply[A])) Answer[A] {
	h.t.Helper()
	reply := coordinator.NewReply[A]()
	if _, err := h.Do(func(s S, op *coordinator.Op) { fn(s, op, reply) }); err != nil {
		reply.Release(err) // the runtime's caller gets the error of the operation
	}
	return Answer[A]{reply}
}

// Got is the answer if it has come.
func (a Answer[A]) Got() (answer A, err error, given bool) {
	select {
	case <-a.reply.Done():
		answer, err = a.reply.Result()
		return answer, err, true
	default:
		return answer, nil, false
	}
}
