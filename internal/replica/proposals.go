package replica

import (
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

const (
	// proposeStep is how many proposals go to the controller at once.
	proposeStep = 2000
	// proposePatience is how long the controller may take.
	proposePatience = 5 * time.Second
	// mostLook is the longest time between two looks at all: by one of them the high watermark moves on that waited for a follower which died as it was
	// about to join (isr).
	mostLook = time.Second
	// Proposals of which the controller did not say what became are made again after leastPropose to mostPropose; a partition does not repeat one
	// sooner than a quarter of a second after it was made (isr).
	leastPropose = 400 * time.Millisecond
	mostPropose  = 2 * time.Second
)

// proposals are the partitions led here whose replicas in sync may have to change. Each is noted once, so they are no more than there are
// partitions.
type proposals struct {
	kick chan struct{} // of one: something was noted

	mu    sync.Mutex // guards noted; a leaf, taken under the locks of partitions
	noted map[*partition.Partition]struct{}
}

func newProposals() *proposals {
	return &proposals{kick: make(chan struct{}, 1), noted: map[*partition.Partition]struct{}{}}
}

// note is partition.Host.OnISR.
func (s *proposals) note(p *partition.Partition) {
	s.mu.Lock()
	s.noted[p] = struct{}{}
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// take empties the notes into dst.
func (s *proposals) take(dst []*partition.Partition) []*partition.Partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.noted {
		dst = append(dst, p)
	}
	clear(s.noted)
	return dst
}

// proposal is what is asked for p.
type proposal struct {
	p *partition.Partition
	q partition.ISRProposal
}

// proposing is the work of the goroutine that asks the controller.
type proposing struct {
	m      *Manager
	pause  backoff
	open   bool // the controller did not say what became of some proposal
	logged time.Time
}

// propose asks the controller for what the partitions led here want of their replicas in sync, until Close. Who has caught up is proposed at once;
// who falls behind is found by looking at all, twice in MaxLag or more often. While the controller is not to be had it is asked seldom, and then for
// everybody (ISR-4).
func (m *Manager) propose(ctx context.Context) {
	w := &proposing{m: m}
	every := min(m.opts.MaxLag/2, mostLook)
	look := time.NewTimer(every)
	defer look.Stop()
	var list []*partition.Partition
	for {
		kick := m.proposals.kick
		if w.open {
			kick = nil
		}
		all := false
		select {
		case <-ctx.Done():
			return
		case <-kick:
		case <-look.C:
			all = true
		}
		list = m.proposals.take(list[:0])
		if all {
			list = m.replicated(list)
		}
		w.open = false
		w.ask(ctx, list)
		clear(list)
		switch {
		case w.open:
			look.Reset(w.pause.next(leastPropose, mostPropose))
		case all:
			look.Reset(every)
			w.pause.reset()
		}
	}
}

// replicated appends the partitions that this node leads and others follow.
func (m *Manager) replicated(dst []*partition.Partition) []*partition.Partition {
	for t := range m.table.Load().all() {
		for p := range t.Partitions() {
			if r := p.Role(); r.IsLeader && len(r.Replicas) > 1 {
				dst = append(dst, p)
			}
		}
	}
	return dst
}

// ask asks for what the partitions want. One that is listed twice has nothing to propose the second time.
func (w *proposing) ask(ctx context.Context, all []*partition.Partition) {
	now := w.m.opts.Now()
	w.m.heard.looked(now)
	var list []proposal
	for _, p := range all {
		if r := p.Role(); !r.IsLeader || r.Gone != nil {
			continue
		}
		if q, ok := p.ProposeISR(now, w.m.opts.MaxLag); ok {
			list = append(list, proposal{p, q})
		}
	}
	for len(list) > 0 {
		n := min(len(list), proposeStep)
		w.send(ctx, list[:n])
		list = list[n:]
	}
}

// send asks the controller once and hands out its answers.
func (w *proposing) send(ctx context.Context, list []proposal) {
	q := make([]partition.ISRProposal, len(list))
	for i := range list {
		q[i] = list[i].q
	}
	limited, cancel := context.WithTimeout(ctx, proposePatience)
	answers := w.m.opts.AlterPartition(limited, q)
	cancel()
	for i := range list {
		var err error = errUnanswered
		if i < len(answers) {
			err = answers[i]
		}
		if kafka.CodeOf(err) == kafka.NewLeaderElected {
			err = nil // it was carried out, and another broker leads now, as the metadata will tell
		}
		list[i].p.ISRAnswered(list[i].q, err)
		if err != nil && !decided(err) {
			w.open = true
			w.complain(err)
		}
	}
}

var errUnanswered = kafka.Errorf(kafka.UnknownServerError, "the controller did not answer all that it was asked")

func (w *proposing) complain(err error) {
	if now := w.m.opts.Now(); now.Sub(w.logged) >= complainAgain {
		w.logged = now
		w.m.opts.Logger.Warn("the controller did not say which replicas are in sync, asking again", "err", err)
	}
}

// decided reports whether an error says that the controller refused a proposal for good. The partition tells when it has another to make. After other
// errors nobody knows, or the controller is elsewhere, or newer metadata are on their way here.
func decided(err error) bool {
	code := kafka.CodeOf(err)
	return code == kafka.IneligibleReplica || code == kafka.OperationNotAttempted
}
