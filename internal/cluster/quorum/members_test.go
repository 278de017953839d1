package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// join adds n to the cluster of first and starts it.
func join(t testing.TB, first, n *node) []quorum.Member {
	t.Helper()
	all, err := first.AddVoter(within(t), n.member())
	if err != nil {
		t.Fatal(err)
	}
	n.run(t, func() (*quorum.Cluster, error) { return quorum.StartJoining(t.Context(), n.opts, all) })
	return all
}

func TestNodeJoinsIsPromotedAndRemoved(t *testing.T) {
	t.Parallel()
	first := leader(t, startNew(t, 1)...)
	second := newNode(t, 2)
	if _, err := first.AddVoter(within(t), second.member()); !errors.Is(err, quorum.ErrNothingImported) {
		t.Fatalf("a cluster that does not count yet was joined: %v", err)
	}
	for i := range 5 {
		quorumtest.Commit(t, first, quorumtest.Set("a", fmt.Sprint(i)))
	}
	all := join(t, first, second)
	if again, err := first.AddVoter(within(t), all[1]); err != nil || len(again) != 2 || again[1] != all[1] {
		t.Fatalf("added again: %v instead of %v (%v)", again, all, err)
	}
	if got, rev := settings(t, second); rev != 5 || got["a"] != "4" {
		t.Fatalf("the learner loads revision %d", rev)
	}
	if err := first.Promote(within(t), 2); err != nil {
		t.Fatal(err)
	}
	if err := first.Promote(within(t), 2); err != nil {
		t.Fatalf("promoted again: %v", err)
	}
	if err := first.Promote(within(t), 9); !errors.Is(err, quorum.ErrNoSuchMember) {
		t.Fatal(err)
	}
	voters, err := second.Voters(within(t))
	if err != nil || len(voters) != 2 || voters[1].Learner || !voters[1].Healthy || voters[1].Applied == 0 || !voters[0].Healthy {
		t.Fatalf("%+v %v", voters, err)
	}
	commit(t, []*node{first, second}, "a", "5")

	was := all[1].ID
	if err := first.RemoveVoter(within(t), 2); err != nil {
		t.Fatal(err)
	}
	err = second.Follow(within(t), 0, func(quorum.Batch) error { return nil })
	if !errors.Is(err, quorum.ErrRemoved) {
		t.Fatalf("the removed one: %v", err)
	}
	if quorum.Exists(second.opts.Dir) {
		t.Fatal("the directory of the removed one still counts")
	}
	second.lead(nil)
	_ = second.Close()
	if err := first.RemoveVoter(within(t), 2); err != nil {
		t.Fatalf("removed again: %v", err)
	}
	last := commit(t, []*node{first}, "a", "6")
	if all = join(t, first, second); all[1].ID == was {
		t.Fatal("the same membership after a removal")
	}
	if got, rev := settings(t, second); rev < last || got["a"] != "6" {
		t.Fatalf("revision %d with %v", rev, got)
	}
}

// A voter that comes back without its disk has forgotten how it voted, so it must not come back as the same member.
func TestLearnerWithoutItsDiskBecomesAnotherMember(t *testing.T) {
	t.Parallel()
	first := leader(t, startNew(t, 1)...)
	quorumtest.Commit(t, first, quorumtest.Set("a", "1"))
	second := newNode(t, 2)
	was := join(t, first, second)[1].ID
	if err := second.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has told its name", func() bool {
		voters, err := first.Voters(within(t))
		return err == nil && voters[1].Started
	})
	second.kill()
	second.opts.Dir = t.TempDir()
	if now := join(t, first, second)[1].ID; now == was {
		t.Fatal("the same membership without its disk")
	}
	if _, rev := quorumtest.Image(t, second); rev != 1 {
		t.Fatalf("revision %d", rev)
	}
}

func connect(t testing.TB, o quorum.ClusterOptions, voters ...*node) *quorum.Cluster {
	t.Helper()
	c, err := quorum.Connect(t.Context(), o, func() []string {
		var list []string
		for _, v := range voters {
			list = append(list, v.addr())
		}
		return list
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// client connects a broker without a vote, which keeps to the first of the voters.
func client(t testing.TB, voters ...*node) (*quorum.Cluster, *history) {
	t.Helper()
	o := voters[0].opts
	o.Node = voters[0].opts.Node - 1 // of three voters the first one
	c := connect(t, o, voters...)
	h := &history{}
	h.follow(t, c)
	eventually(t, "it follows", func() bool { return h.at(1) != "" })
	return c, h
}

// QUO-2: a broker without a vote sees what the voters see, also when the voter it reads from dies.
func TestClientFollowsThroughThePeerPorts(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	commit(t, nodes, "a", "1")
	nobody := newNode(t, 9) // closes every connection, as a broker does that has no voter
	nobody.opts.Node = 1
	c, h := client(t, nobody, nodes[0], nodes[1], nodes[2])
	eventually(t, "it knows the leader", func() bool {
		l := c.Leadership()
		return !l.Here && l.Controller != kafka.NoBroker && l.Controller == leader(t, nodes...).opts.Node
	})
	if _, err := c.Commit(t.Context(), c.Leadership().Term, nil, []metadata.Record{quorumtest.Set("a", "2")}); !errors.Is(err, quorum.ErrStaleTerm) {
		t.Fatalf("a commit of a client: %v", err)
	}
	if id, err := c.AssignID(within(t), kafka.NewUUID(), kafka.NoBroker); err != nil || id < 0 {
		t.Fatal(id, err)
	}
	r := commit(t, nodes, "a", "2")
	eventually(t, "it has the commit", func() bool { return h.at(r) != "" })
	nodes[0].kill()
	r = commit(t, nodes[1:], "a", "3")
	eventually(t, "it has what was committed after its voter died", func() bool { return h.at(r) != "" })
	if voters, err := c.Voters(within(t)); err != nil || len(voters) != 3 || voters[0].Healthy {
		t.Fatal(voters, err)
	}
}

// A voter that neither answers nor closes its connections, as a process that was stopped, is left for another one.
func TestClientLeavesAVoterThatHasFrozen(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	commit(t, nodes, "a", "1")
	frozen := others(nodes, leader(t, nodes...))[0]
	c, h := client(t, append([]*node{frozen}, others(nodes, frozen)...)...)
	frozen.frozen.Lock()
	defer frozen.frozen.Unlock()
	r := commit(t, others(nodes, frozen), "a", "2")
	eventually(t, "it has what another voter has", func() bool { return h.at(r) != "" })
	eventually(t, "it knows the leader", func() bool { return c.Leadership().Controller == leader(t, nodes...).opts.Node })
}

func TestClientWithoutVotersIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := quorum.Connect(t.Context(), newNode(t, 5).opts, func() []string { return nil }); err == nil {
		t.Fatal("connected to nobody")
	}
}

// Whoever was away for so long that the log was trimmed is told so, and goes on from a snapshot.
func TestWhoIsTooFarBehindLoadsAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t, 1)
	n.opts.SnapshotBytes, n.opts.SnapshotBatches = 1, 1
	n.run(t, func() (*quorum.Cluster, error) {
		return quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
	})
	leader(t, n)
	quorumtest.Commit(t, n, quorumtest.Set("a", "1"))
	o := n.opts
	o.Node = 2
	client := connect(t, o, n)
	_, rev := quorumtest.Image(t, client)
	done := make(chan error, 1)
	go func() {
		done <- client.Follow(within(t), rev, func(quorum.Batch) error { return nil })
	}()
	n.lead(nil)
	before, err := n.Compacted(within(t))
	if err != nil {
		t.Fatal(err)
	}
	last := rev
	eventually(t, "the past is gone", func() bool {
		for i := range 20 {
			last = quorumtest.Commit(t, n, quorumtest.Set("a", fmt.Sprint(i)))
		}
		_, base := n.Grown()
		now, err := n.Compacted(within(t))
		return err == nil && base > rev+20 && now > before+40
	})
	n.lead(n.Cluster)
	if err := <-done; !errors.Is(err, quorum.ErrTooFarBehind) {
		t.Fatal(err)
	}
	if _, now := quorumtest.Image(t, client); now != last {
		t.Fatalf("revision %d, it is %d", now, last)
	}
}

func TestImportIsTheBeginning(t *testing.T) {
	t.Parallel()
	n := newNode(t, 1)
	start := func() (*quorum.Cluster, error) {
		return quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
	}
	n.run(t, start)
	if quorum.Exists(n.opts.Dir) {
		t.Fatal("it counts before there is anything in it")
	}
	// Killed before the import: what is left is nothing.
	_ = n.Kill()
	if _, err := quorum.Restart(t.Context(), n.opts); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	n.run(t, start)
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{quorumtest.Set("a", "1"), quorumtest.Set("b", "2")})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Import(within(t), metadata.SnapshotOf(img), 41); err != nil {
		t.Fatal(err)
	}
	if !quorum.Exists(n.opts.Dir) {
		t.Fatal("it does not count although everything is in it")
	}
	if err := n.Import(within(t), metadata.SnapshotOf(img), 41); !errors.Is(err, quorum.ErrNotEmpty) {
		t.Fatal(err)
	}
	leader(t, n)
	if rev := quorumtest.Commit(t, n, quorumtest.Set("c", "3")); rev != 42 {
		t.Fatalf("revision %d follows 41", rev)
	}
	_ = n.Kill()
	n.restart(t)
	got, rev := quorumtest.Image(t, n)
	want, _, _ := metadata.Fold(img, []metadata.Record{quorumtest.Set("c", "3")})
	if rev != 42 || fingerprint(got) != fingerprint(want) {
		t.Fatalf("revision %d with %v", rev, got.Configs)
	}
	if err := n.Follow(within(t), 1, func(quorum.Batch) error { return nil }); !errors.Is(err, quorum.ErrTooFarBehind) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Follow(ctx, 42, func(quorum.Batch) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
