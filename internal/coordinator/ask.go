package coordinator

import "context"

// Ask runs an operation on the shard of a key, a group or a transactional id, and returns its answer once everything that the operation may have
// seen is committed (COR-2). When ctx ends the caller is let go; the operation has happened.
//
// Errors, never of the shard's own protocol, which are in A: NotCoordinator, CoordinatorLoadInProgress, CoordinatorNotAvailable,
// UnknownServerError if what was asked for is too large to be stored, and ctx's.
func Ask[S Shard, A any](ctx context.Context, r *Runtime[S], key string, fn func(s S, op *Op) A) (A, error) {
	h, err := r.of(key)
	if err != nil {
		var none A
		return none, err
	}
	return ask(ctx, h, fn)
}

// AskPartition is Ask by partition of the internal topic.
func AskPartition[S Shard, A any](ctx context.Context, r *Runtime[S], partition int32, fn func(s S, op *Op) A) (A, error) {
	h, err := r.at(partition)
	if err != nil {
		var none A
		return none, err
	}
	return ask(ctx, h, fn)
}

func ask[S Shard, A any](ctx context.Context, h *host[S], fn func(s S, op *Op) A) (answer A, err error) {
	t, err := h.run(true, func(s S, op *Op) { answer = fn(s, op) })
	switch {
	case err != nil:
	case t.committed == nil: // it may have written nothing, and so not know that another coordinator has by now
		err = h.leads()
	default:
		err = t.wait(ctx)
	}
	if err != nil {
		var none A
		return none, err
	}
	return answer, nil
}

// wait waits for the commit of an operation.
func (t ticket) wait(ctx context.Context) error {
	if t.committed == nil {
		return nil
	}
	select {
	case <-t.committed:
		return nil
	case <-t.gone:
		return errElsewhere
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AskLater is Ask for answers that the shard may give in a later operation. A shard that never gives it keeps the caller until ctx ends.
func AskLater[S Shard, A any](ctx context.Context, r *Runtime[S], key string, fn func(s S, op *Op, reply *Reply[A])) (A, error) {
	var none A
	h, err := r.of(key)
	if err != nil {
		return none, err
	}
	reply := NewReply[A]()
	t, err := h.run(false, func(s S, op *Op) { fn(s, op, reply) })
	if err != nil {
		return none, err
	}
	select {
	case <-reply.done:
		return reply.Result()
	case <-t.gone:
		return none, errElsewhere
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Read lets fn look at the shard of a key. It waits for nothing and sees what is committed; fn must neither change nor keep anything. A node without a
// lease does not know whether another one has committed more since (COR-8): NotCoordinator.
func Read[S Shard, A any](r *Runtime[S], key string, fn func(s S, v View) A) (answer A, err error) {
	h, err := r.of(key)
	if err != nil {
		return answer, err
	}
	err = h.read(func(s S, v View) { answer = fn(s, v) })
	return answer, err
}

// Each lets fn look at every active shard of this node, as Read does. The error says that some are not active.
func Each[S Shard](r *Runtime[S], fn func(s S, v View)) (err error) {
	for _, h := range *r.table.Load() {
		if h == nil {
			continue
		}
		if failed := h.read(fn); failed != nil {
			err = failed
		}
	}
	return err
}

func (h *host[S]) read(fn func(s S, v View)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.serves(); err != nil {
		return err
	}
	h.reg.Snapshot(h.seq)
	fn(h.shard, View{Now: h.rt.opts.Now(), Image: h.rt.opts.Image(), Committed: h.commits.committed(h.seq), Partition: h.partition})
	return h.leads() // after the look: what was seen was true when this is
}

// leads is nil while no other node can coordinate what this one does.
func (h *host[S]) leads() error {
	if err := h.rt.opts.Log.Leads(h.partition, h.epoch); err != nil {
		return refused(err)
	}
	return nil
}

// EndTxn appends a transaction's marker to a partition of the internal topic and folds it into the shard. When it returns the marker is committed.
// version is that of the transaction: from 2 on each marker has an epoch above that of its records, and InvalidProducerEpoch answers one that comes
// late, when the next transaction is open already.
func (r *Runtime[S]) EndTxn(ctx context.Context, partition int32, p Producer, coordinatorEpoch int32, version int16, commit bool) error {
	h, err := r.at(partition)
	if err != nil {
		return err
	}
	t, err := h.endTxn(p, coordinatorEpoch, version, commit)
	if err != nil {
		return err
	}
	return t.wait(ctx)
}
