package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// store stands in for etcd: one log of batches that all nodes see in the same order, sooner or later, and a leader among the nodes, in terms. A commit
// may be lost on its way, and its answer may be lost when it was made.
type store struct {
	w      *world
	log    [][]metadata.Record // by revision, from 1
	images []*metadata.Image   // by revision, from 0
	leader *node               // nil: none
	life   int                 // of the leader's process
	term   quorum.Term
	since  time.Duration // how long the leader is unfit; 0: it is not
}

var errCommit = errors.New("nobody knows what became of the commit")

func newStore(w *world) *store {
	return &store{w: w, images: []*metadata.Image{metadata.Empty()}, log: [][]metadata.Record{nil}}
}

func (s *store) head() quorum.Revision  { return quorum.Revision(len(s.log) - 1) }
func (s *store) image() *metadata.Image { return s.images[len(s.images)-1] }

// has reports whether a node exchanges messages with most of the nodes that run, itself included.
func (s *store) has(n *node) bool {
	if !n.up || n.frozen {
		return false
	}
	with := 0
	for _, o := range s.w.nodes {
		if o.up && !o.frozen && s.w.reaches(n.endpoint, o.endpoint) && s.w.reaches(o.endpoint, n.endpoint) {
			with++
		}
	}
	return 2*with > len(s.w.nodes)
}

// watch elects a leader where there is none that is fit, forever.
func (s *store) watch() {
	s.w.after(s.w.between(80*time.Millisecond, 120*time.Millisecond), s.watch)
	if s.leader != nil && s.leader.life == s.life && s.has(s.leader) {
		s.since = 0
		return
	}
	if s.since == 0 {
		s.since = s.w.now
	}
	if s.leader != nil && s.w.now-s.since < 600*time.Millisecond {
		return
	}
	s.elect()
}

// elect has another node lead, if one can.
func (s *store) elect() {
	var fit []*node
	for _, n := range s.w.nodes {
		if s.has(n) && (n != s.leader || n.life != s.life) {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return
	}
	was, wasLife := s.leader, s.life
	s.leader, s.since = pick(s.w, fit), 0
	s.life = s.leader.life
	s.term++
	term, now := s.term, s.leader
	s.w.say("store: %s leads in term %d", now, term)
	now.after(s.w.between(0, 20*time.Millisecond), func() { now.ctl.elected(term) })
	if was != nil && was.up && was.life == wasLife && was != now {
		s.tell(was, term)
	}
}

// tell lets a node know, once it can, that it leads no more.
func (s *store) tell(n *node, term quorum.Term) {
	n.after(s.w.between(0, 100*time.Millisecond), func() {
		if s.has(n) {
			n.ctl.deposed(term)
		} else {
			s.tell(n, term)
		}
	})
}

// commit is quorum.Store.Commit by a node. head is the guard; -1: none. What nobody knows the outcome of is answered with errCommit.
func (s *store) commit(n *node, term quorum.Term, head quorum.Revision, records []metadata.Record, done func(quorum.Revision, error)) {
	w := s.w
	finished := false
	finish := func(r quorum.Revision, err error) {
		if !finished {
			finished = true
			done(r, err)
		}
	}
	n.after(2*time.Second, func() { finish(0, errCommit) })
	w.after(w.between(200*time.Microsecond, 4*time.Millisecond), func() {
		if !s.has(n) && !(n.up && w.chance(100)) || w.chance(s.faults()) {
			return // lost; the node finds out by its patience
		}
		rev, err := s.take(term, head, records)
		if w.chance(s.faults()) {
			w.say("store: the answer to %s is lost (%v)", n, err)
			return
		}
		n.after(w.between(200*time.Microsecond, 3*time.Millisecond), func() { finish(rev, err) })
	})
}

func (s *store) faults() int {
	if s.w.calm {
		return 0
	}
	return 5
}

// take is the commit as the store makes it.
func (s *store) take(term quorum.Term, head quorum.Revision, records []metadata.Record) (quorum.Revision, error) {
	stale := s.w.mutant == "a stale controller commits"
	switch {
	case term != s.term && !stale:
		return 0, quorum.ErrStaleTerm
	case head >= 0 && head != s.head() && !stale:
		return 0, quorum.ErrGuard
	case len(records) == 0:
		return s.head(), nil
	}
	img, _, err := metadata.Fold(s.image(), records)
	if err != nil {
		return 0, err
	}
	at := s.image()
	s.log, s.images = append(s.log, records), append(s.images, img)
	for _, r := range records {
		s.w.say("store: %d %s", s.head(), describe(r))
		next, _, err := metadata.Fold(at, []metadata.Record{r})
		if err != nil {
			s.w.fail("a record of a batch that folds does not: %v", err)
		}
		s.w.truth.decided(at, next)
		at = next
	}
	for _, n := range s.w.nodes {
		n.followSoon()
	}
	return s.head(), nil
}

func describe(r metadata.Record) string {
	switch r := r.(type) {
	case *metadata.PartitionChangeRecord:
		return fmt.Sprintf("%s-%d %+v", r.TopicID.String()[18:], r.Partition, r.State)
	case *metadata.BrokerRecord:
		b := r.Broker
		return fmt.Sprintf("broker %d epoch %d fenced %v stopping %v draining %v", b.ID, b.Epoch, b.Fenced, b.ShuttingDown, b.Draining)
	case *metadata.ControllerRecord:
		return fmt.Sprintf("controller %d term %d", r.Controller, r.Term)
	}
	return fmt.Sprintf("%T", r)
}

// nodeID is the broker of the node of an index.
func nodeID(i int) kafka.BrokerID { return kafka.BrokerID(i + 1) }
