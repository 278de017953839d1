package join

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	// askPatience is how long a node that does not answer is waited for.
	askPatience = time.Second
	// admitPatience is how long a member may take to let this node in.
	admitPatience = 20 * time.Second
	// Pauses between two looks at the others grow from the first to the second.
	shortPause, longPause = 25 * time.Millisecond, 500 * time.Millisecond
	// complainAfter is how many vain looks lie between two lines in the log.
	complainAfter = 20
)

// Find returns once this node belongs to a cluster: at once if it does already, else when it was admitted or has founded one with the others.
// It waits for that until ctx ends.
func (n *Node) Find(ctx context.Context) (Identity, error) {
	for pause, looks := shortPause, 1; ; looks++ {
		if id := n.Identity(); id.Belongs() {
			return id, nil
		}
		why := n.look(ctx)
		if id := n.Identity(); id.Belongs() {
			return id, nil
		}
		if looks%complainAfter == 0 {
			n.opts.Logger.Info("waiting for a cluster", "join", n.opts.Addrs, "bootstrap_expect", n.opts.Expect, "why", why)
		}
		select {
		case <-ctx.Done():
			return n.Identity(), fmt.Errorf("no cluster was found at %v: %w", n.opts.Addrs, why)
		case <-time.After(jitter(pause)):
		}
		pause = min(pause*5/4, longPause)
	}
}

// seen is a node that answered.
type seen struct {
	status
	at    string // the address that was asked
	asked int    // Node.promises when it was asked
}

// look asks everybody once and does what follows. The error says what is missing.
func (n *Node) look(ctx context.Context) error {
	others, missing := n.ask(ctx)
	n.reconsider(others)
	refused := missing
	for _, o := range others {
		if !o.Admits && o.ClusterID == "" {
			continue
		}
		if n.opts.ClusterID != "" && o.ClusterID != "" && o.ClusterID != n.opts.ClusterID {
			return fmt.Errorf("%s is of cluster %s, configured is %s", o.at, o.ClusterID, n.opts.ClusterID)
		}
		if err := n.askIn(ctx, o.at); err != nil {
			refused = fmt.Errorf("%s: %w", o.at, err)
			continue
		}
		return nil
	}
	if slices.ContainsFunc(others, func(o seen) bool { return o.Admits || o.ClusterID != "" }) {
		return refused // there is a cluster: none is founded beside it
	}
	return n.tryToFound(ctx, others, missing)
}

// ask asks every address for its status. Nodes come once, whatever addresses they have, and this one is not among them.
func (n *Node) ask(ctx context.Context) (others []seen, missing error) {
	me, asked := n.Identity(), n.promisesNow()
	addrs := n.opts.Resolve(ctx, n.opts.Addrs)
	answers, errs := make([]*seen, len(addrs)), make([]error, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() {
			soon, cancel := context.WithTimeout(ctx, askPatience)
			defer cancel()
			b, err := n.opts.Call(soon, addr, methodStatus, nil)
			if err == nil {
				var s status
				if s, err = decode[status](b); err == nil {
					answers[i] = &seen{s, addr, asked}
				}
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for i, a := range answers {
		switch {
		case a == nil:
			missing = fmt.Errorf("%s does not answer: %w", addrs[i], errs[i])
		case a.Directory == me.Directory, slices.ContainsFunc(others, func(o seen) bool { return o.Directory == a.Directory }):
		default:
			others = append(others, *a)
		}
	}
	return others, missing
}

// reconsider ends a promise whose founder is not founding any more (JOI-4). An answer to a question that was
// asked before the promise was given, or confirmed once more, says nothing.
func (n *Node) reconsider(others []seen) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id.Belongs() || n.id.Promised.IsZero() || n.id.Promised == n.id.Directory {
		return
	}
	for _, o := range others {
		if o.asked != n.promises {
			continue
		}
		gave := o.Directory == n.id.Promised && o.ClusterID == "" && o.Promised != o.Directory
		lost := o.Directory != n.id.Promised && o.Peer == n.id.PromisedTo
		if gave || lost {
			n.opts.Logger.Info("a founder has given up", "founder", n.id.PromisedTo)
			_ = n.promiseLocked(promise{}) // fails: it is kept, and looked at again
			return
		}
	}
}

// askIn asks a member to be let in.
func (n *Node) askIn(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, admitPatience)
	defer cancel()
	b, err := n.opts.Call(ctx, addr, methodAdmit, encode(Admission{Directory: n.Identity().Directory, Peer: n.opts.Peer, Want: n.opts.Want, ClusterID: n.opts.ClusterID}))
	if err != nil {
		return err
	}
	a, err := decode[Admitted](b)
	if err != nil {
		return err
	}
	if a.ClusterID == "" || a.Node < 0 {
		return errorf("the answer names no cluster or no node")
	}
	if n.opts.Want != kafka.NoBroker && a.Node != n.opts.Want {
		return errorf("node id %d was asked for and %d given", n.opts.Want, a.Node)
	}
	return n.Belong(a)
}
