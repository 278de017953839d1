package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

func TestClusterOfOne(t *testing.T) {
	t.Parallel()
	quorumtest.Run(t, func(t *testing.T) quorum.Store {
		return leader(t, startNew(t, 1)...).Cluster
	})
}

func TestClusterThatMakesSnapshotsAllTheTime(t *testing.T) {
	t.Parallel()
	quorumtest.Run(t, func(t *testing.T) quorum.Store {
		n := newNode(t, 1)
		n.opts.SnapshotBytes, n.opts.SnapshotBatches = 1, 1
		n.run(t, func() (*quorum.Cluster, error) {
			return quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
		})
		return leader(t, n).Cluster
	})
}

// history follows a store from nothing and keeps what it saw.
type history struct {
	mu   sync.Mutex
	seen []string
}

func (h *history) follow(t testing.TB, s quorum.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		img := metadata.Empty()
		err := s.Follow(ctx, 0, func(b quorum.Batch) error {
			var err error
			if img, _, err = metadata.Fold(img, b.Records); err != nil {
				return err
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if int(b.Revision) != len(h.seen)+1 {
				return fmt.Errorf("revision %d follows %d", b.Revision, len(h.seen))
			}
			h.seen = append(h.seen, fingerprint(img))
			return nil
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, quorum.ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func (h *history) at(n quorum.Revision) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(n) > len(h.seen) {
		return ""
	}
	return h.seen[n-1]
}

// QUO-2: three members follow; each sees every batch, in the same order, with the same content.
func TestAllNodesTakeTheSameBatches(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	histories := make([]history, len(nodes))
	for i, n := range nodes {
		histories[i].follow(t, n)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				commit(t, nodes, fmt.Sprint("w", w), fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	last := commit(t, nodes, "last", "1")
	if last < 41 {
		t.Fatalf("revision %d after 41 commits", last)
	}
	for i := range histories {
		eventually(t, "every node has the last batch", func() bool { return histories[i].at(last) != "" })
		for r := range last {
			if a, b := histories[0].at(r+1), histories[i].at(r+1); a != b {
				t.Fatalf("node %d has %q at revision %d, node 1 has %q", i+1, b, r+1, a)
			}
		}
	}
	for _, n := range nodes {
		if got, rev := settings(t, n); rev < last || got["w0"] != "9" {
			t.Errorf("broker %d loads revision %d with %v", n.opts.Node, rev, got)
		}
		eventually(t, "everybody knows the leader", func() bool { return n.Leadership().Controller == leader(t, nodes...).opts.Node })
		was := n.Leadership()
		if _, err := n.Commit(t.Context(), was.Term, nil, []metadata.Record{quorumtest.Set("a", "1")}); !was.Here && !errors.Is(err, quorum.ErrStaleTerm) {
			t.Errorf("a commit of broker %d, which does not lead: %v", n.opts.Node, err)
		}
	}
}

// QUO-3: a leader that is cut off and does not know it commits nothing, and what it tried is nowhere once it is back.
func TestDeposedLeadersCommitFails(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	commit(t, nodes, "a", "1")
	old := leader(t, nodes...)
	term := old.Leadership().Term
	rest := others(nodes, old)
	old.Cut(rest[0].Cluster, rest[1].Cluster)
	rest[0].Cut(old.Cluster)
	rest[1].Cut(old.Cluster)
	failed := make(chan error, 1)
	go func() {
		_, err := old.Commit(context.Background(), term, nil, []metadata.Record{quorumtest.Set("lost", "1")})
		failed <- err
	}()
	next := leader(t, rest...)
	if now := next.Leadership(); now.Here && now.Term <= term {
		t.Fatalf("term %d follows %d", now.Term, term)
	}
	commit(t, rest, "a", "2")
	if err := <-failed; !errors.Is(err, quorum.ErrStaleTerm) && !errors.Is(err, quorum.ErrOutcomeUnknown) {
		t.Fatalf("the commit of a leader that was cut off: %v", err)
	}
	eventually(t, "the old leader has noticed", func() bool { return !old.Leadership().Here })
	if _, err := old.Commit(t.Context(), term, nil, []metadata.Record{quorumtest.Set("lost", "2")}); !errors.Is(err, quorum.ErrStaleTerm) {
		t.Fatalf("a later commit of the old leader: %v", err)
	}
	old.Mend(rest[0].Cluster, rest[1].Cluster)
	rest[0].Mend(old.Cluster)
	rest[1].Mend(old.Cluster)
	if got, rev := settings(t, old); got["a"] != "2" || got["lost"] != "" {
		t.Fatalf("revision %d with %v after the cut", rev, got)
	}
}

// QUO-3: a transaction that etcd has not answered is looked up, and the answer holds: what is said to be lost cannot come later.
func TestWhatGotNoAnswerIsLookedUp(t *testing.T) {
	t.Parallel()
	n := leader(t, startNew(t, 1)...)
	for i := range 50 {
		value := fmt.Sprint(i)
		before := quorumtest.Commit(t, n, quorumtest.Set("b", value))
		done := make(chan error, 1)
		go func() {
			_, err := n.Commit(within(t), n.Leadership().Term, nil, []metadata.Record{quorumtest.Set("a", value)})
			done <- err
		}()
		n.GiveUp(before + 1)
		switch err := <-done; {
		case errors.Is(err, quorum.ErrOutcomeUnknown): // on a machine that is slow to write: it says so, and does not guess
			continue
		case err != nil:
			t.Fatal(err)
		}
		if got, rev := settings(t, n); got["a"] != value || rev != before+1 {
			t.Fatalf("a is %q at revision %d, it was set to %q at %d", got["a"], rev, value, before+1)
		}
	}
}

// QUO-3: the fence stands in etcd, not only in what a node believes: once a term has committed, none before it can, even where the
// node still takes itself for the leader of that.
func TestCommitOfAnOlderTermFailsInTheStore(t *testing.T) {
	t.Parallel()
	n := leader(t, startNew(t, 1)...)
	quorumtest.Commit(t, n, quorumtest.Set("a", "1"))
	term := n.Leadership().Term
	if err := n.ForgetTerm(within(t), term-1); !errors.Is(err, quorum.ErrStaleTerm) {
		t.Fatal(err)
	}
	if _, rev := quorumtest.Image(t, n); rev != 1 {
		t.Fatalf("revision %d", rev)
	}
}

// QUO-1: what was acknowledged is there after the leader's death, and the next one goes on.
func TestNextLeaderGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	for i := range 10 {
		commit(t, nodes, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	old := leader(t, nodes...)
	before, acked := settings(t, old)
	old.kill()
	rest := others(nodes, old)
	for _, n := range rest {
		if got, rev := settings(t, n); rev < acked || !maps.Equal(got, before) {
			t.Fatalf("revision %d with %v after the death of the leader, %d with %v before", rev, got, acked, before)
		}
	}
	next := commit(t, rest, "k10", "10")
	if next <= acked {
		t.Fatalf("revision %d follows %d", next, acked)
	}
	old.restart(t)
	if got, rev := settings(t, old); rev < next || got["k10"] != "10" {
		t.Fatalf("revision %d on the one that came back", rev)
	}
	eventually(t, "everybody is well", func() bool {
		voters, err := rest[0].Voters(within(t))
		if err != nil || len(voters) != 3 {
			t.Fatal(voters, err)
		}
		leaders := 0
		for _, v := range voters {
			if v.Leader {
				leaders++
			}
			if !v.Started || v.Learner || !v.Healthy || v.Applied == 0 {
				return false
			}
		}
		return leaders == 1
	})
}

// QUO-1: after all nodes died at once everything acknowledged is there.
func TestRestartOfAllNodes(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	var acked quorum.Revision
	for i := range 10 {
		acked = commit(t, nodes, "a", fmt.Sprint(i))
	}
	for _, n := range nodes {
		n.kill()
	}
	for _, n := range nodes {
		n.restart(t)
	}
	for _, n := range nodes {
		if got, rev := settings(t, n); rev < acked || got["a"] != "9" {
			t.Errorf("broker %d: revision %d with %v", n.opts.Node, rev, got)
		}
	}
	commit(t, nodes, "a", "10")
}

func TestLogIsTrimmedBehindASnapshot(t *testing.T) {
	t.Parallel()
	n := newNode(t, 1)
	n.opts.SnapshotBytes, n.opts.SnapshotBatches = 1, 20
	n.run(t, func() (*quorum.Cluster, error) {
		return quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
	})
	leader(t, n)
	for i := range 100 {
		quorumtest.Commit(t, n, quorumtest.Set(fmt.Sprint("k", i%7), strings.Repeat("x", i)))
	}
	eventually(t, "the log is short", func() bool {
		quorumtest.Commit(t, n, quorumtest.Set("k0", "y"))
		keys, err := n.Keys(within(t))
		return err == nil && keys < 60
	})
	img, rev := quorumtest.Image(t, n)
	n.kill()
	n.restart(t)
	if again, at := quorumtest.Image(t, n); at != rev || fingerprint(again) != fingerprint(img) {
		t.Fatalf("revision %d after a restart, %d before", at, rev)
	}
}

func TestBatchOfTheLargestSizeFits(t *testing.T) {
	t.Parallel()
	n := leader(t, startNew(t, 1)...)
	large := func(bytes int) []metadata.Record {
		return []metadata.Record{quorumtest.Set("large", strings.Repeat("x", bytes))}
	}
	if _, err := n.Commit(within(t), n.Leadership().Term, nil, large(quorum.MaxBatchBytes)); !errors.Is(err, quorum.ErrTooLarge) {
		t.Fatal(err)
	}
	eventually(t, "the largest batch is written", func() bool {
		_, err := n.Commit(within(t), n.Leadership().Term, nil, large(quorum.MaxBatchBytes-64))
		if err != nil && !errors.Is(err, quorum.ErrOutcomeUnknown) { // a slow disk takes longer than etcd waits for it
			t.Fatal(err)
		}
		return err == nil
	})
}

func TestDirectoryIsForOneProcessAndOneBroker(t *testing.T) {
	t.Parallel()
	n := leader(t, startNew(t, 1)...)
	quorumtest.Commit(t, n, quorumtest.Set("a", "1"))
	if _, err := quorum.Restart(t.Context(), n.opts); !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("a second start: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	other := n.opts
	other.Node = 7
	if _, err := quorum.Restart(t.Context(), other); err == nil {
		t.Fatal("broker 7 started with the files of broker 1")
	}
	if _, err := quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()}); err == nil {
		t.Fatal("a directory with a cluster was made a new one")
	}
	none := n.opts
	none.Dir = t.TempDir()
	if _, err := quorum.Restart(t.Context(), none); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	n.restart(t)
	if _, rev := quorumtest.Image(t, n); rev != 1 {
		t.Fatalf("revision %d", rev)
	}
}

// A restart may come with another address; the others learn it from the member itself.
func TestMemberComesBackAtAnotherAddress(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	leader(t, nodes...)
	moved := nodes[2]
	moved.kill()
	moved.port = newPort(t)
	moved.opts.PeerURL = moved.url()
	moved.restart(t)
	eventually(t, "the others know the address", func() bool {
		voters, err := nodes[0].Voters(within(t))
		return err == nil && len(voters) == 3 && voters[2].PeerURL == moved.opts.PeerURL && voters[2].Healthy
	})
	commit(t, nodes, "a", "1")
	if got, _ := settings(t, moved); got["a"] != "1" {
		t.Fatal("the one that moved does not have the commit")
	}
}

func TestNobodyOwnsAnIDTwice(t *testing.T) {
	t.Parallel()
	nodes := startNew(t, 3)
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	l := nodes[0]
	if err := l.Import(within(t), metadata.SnapshotOf(img), 1); err != nil {
		t.Fatal(err)
	}
	ids := make([]kafka.BrokerID, 12)
	dirs := make([]kafka.UUID, len(ids))
	var wg sync.WaitGroup
	for i := range ids {
		dirs[i] = kafka.NewUUID()
		wg.Go(func() {
			var err error
			n := nodes[i%len(nodes)]
			if _, _, err = n.Load(within(t)); err == nil {
				ids[i], err = n.AssignID(within(t), dirs[i], kafka.NoBroker)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	owner := map[kafka.BrokerID]int{4: -1}
	for i, id := range ids {
		if was, taken := owner[id]; taken {
			t.Errorf("broker %d belongs to %d and %d", id, was, i)
		}
		owner[id] = i
		if again, err := l.AssignID(within(t), dirs[i], kafka.NoBroker); err != nil || again != id {
			t.Errorf("asked again: %d instead of %d (%v)", again, id, err)
		}
	}
	if _, err := l.AssignID(within(t), kafka.NewUUID(), ids[0]); !errors.Is(err, quorum.ErrIDTaken) {
		t.Error(err)
	}
	if _, err := l.AssignID(within(t), dirs[0], ids[0]+100); !errors.Is(err, quorum.ErrIDTaken) {
		t.Error(err)
	}
	if id, err := l.AssignID(within(t), kafka.NewUUID(), 77); err != nil || id != 77 {
		t.Error(id, err)
	}
	if err := l.ReleaseID(within(t), ids[0]); err != nil {
		t.Error(err)
	}
	if id, err := l.AssignID(within(t), kafka.NewUUID(), ids[0]); err != nil || id != ids[0] {
		t.Error(id, err)
	}
}
