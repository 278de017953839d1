package quorum_test

import (
	"errors"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
)

// QUO-1, QUO-2: a broker without a vote follows, becomes a voter, leads, loses its vote and follows on. Whoever follows its store sees one
// history without a gap, and commits through it count.
func TestStoreGoesOverFromClientToVoterAndBack(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 1)
	commit(t, nodes, "a", "1")
	fourth := newNode(t, 4)
	s := quorum.NewSwitchOf(connect(t, fourth.opts, nodes...))
	t.Cleanup(func() { _ = s.Close() })
	var h history
	h.follow(t, s)
	eventually(t, "it follows", func() bool { return h.at(1) != "" })

	all, err := nodes[0].AddVoter(within(t), fourth.member())
	if err != nil {
		t.Fatal(err)
	}
	fourth.run(t, func() (*quorum.Cluster, error) { return quorum.StartJoining(t.Context(), fourth.opts, all) })
	if err := s.Replace(within(t), fourth.Cluster); err != nil {
		t.Fatal(err)
	}
	if s.Cluster() != fourth.Cluster || !s.Cluster().Votes() || s.Cluster().MemberID() != all[1].ID {
		t.Fatal("the store in use is not the voter's")
	}
	if err := nodes[0].Promote(within(t), 4); err != nil {
		t.Fatal(err)
	}
	both := []*node{nodes[0], fourth}
	r := commit(t, both, "a", "2")
	eventually(t, "it has the commit", func() bool { return h.at(r) != "" })

	if err := nodes[0].RemoveVoter(within(t), 4); err != nil {
		t.Fatal(err)
	}
	<-fourth.Ended()
	if err := fourth.Err(); !errors.Is(err, quorum.ErrRemoved) {
		t.Fatal(err)
	}
	fourth.lead(nil)
	r = commit(t, nodes, "a", "3")
	if err := fourth.Cluster.Close(); err != nil {
		t.Fatal(err)
	}
	if err := quorum.Forget(fourth.opts.Dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(within(t), connect(t, fourth.opts, nodes...)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has what was committed after it had lost its vote", func() bool { return h.at(r) != "" })
	if got, rev := settings(t, s); rev != r || got["a"] != "3" {
		t.Fatalf("revision %d with %v", rev, got)
	}
}

// A voter that was removed while it was away learns it from whom it asks; what strangers say counts for nothing.
func TestVoterThatWasAwayLearnsThatItWasRemoved(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	commit(t, nodes, "a", "1")
	away := others(nodes, leader(t, nodes...))[0]
	rest := others(nodes, away)
	away.kill()
	if err := leader(t, rest...).RemoveVoter(within(t), away.opts.Node); err != nil {
		t.Fatal(err)
	}
	other := startNew(t, 1)[0]
	commit(t, []*node{other}, "b", "1")
	member := leader(t, rest...)
	for _, addr := range []string{newNode(t, 9).addr(), other.addr(), rest[0].addr()} { // nobody there, of another cluster, and of its own
		member.Verify(within(t), []string{addr})
	}
	away.restart(t)
	eventually(t, "it knows", func() bool {
		away.Verify(within(t), []string{newNode(t, 9).addr(), other.addr(), rest[0].addr()})
		return errors.Is(away.Err(), quorum.ErrRemoved)
	})
	if member.Err() != nil {
		t.Fatalf("a member takes itself for removed: %v", member.Err())
	}
	if quorum.Exists(away.opts.Dir) {
		t.Fatal("its directory still counts")
	}
}

// An id goes to the directory that replaces a lost one, for good; the lost one is refused when it turns up.
func TestIDOfALostDiskIsAdopted(t *testing.T) {
	t.Parallel()
	n := leader(t, startNew(t, 1)...)
	commit(t, []*node{n}, "a", "1")
	lost, fresh := kafka.NewUUID(), kafka.NewUUID()
	if _, err := n.AssignID(within(t), lost, 7); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Adopt(within(t), fresh, 7); err != nil {
			t.Fatal(err)
		}
	}
	if owner, err := n.Owner(within(t), 7); err != nil || owner != fresh {
		t.Fatal(owner, err)
	}
	if _, err := n.AssignID(within(t), lost, 7); !errors.Is(err, quorum.ErrIDTaken) {
		t.Fatalf("the lost directory: %v", err)
	}
	if err := n.Bar(within(t), 7, true); err != nil {
		t.Fatal(err)
	}
	if barred, err := n.Barred(within(t)); err != nil || !barred[7] || len(barred) != 1 {
		t.Fatal(barred, err)
	}
	if err := n.Bar(within(t), 7, false); err != nil {
		t.Fatal(err)
	}
	if barred, err := n.Barred(within(t)); err != nil || len(barred) != 0 {
		t.Fatal(barred, err)
	}
}
