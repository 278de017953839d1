package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

// to goes over to a cluster of n alone.
func (n *node) to(t testing.TB, s *quorum.Switch) error {
	t.Helper()
	return s.To(within(t), func(metadata.Snapshot, quorum.Revision) (*quorum.Cluster, error) {
		c, err := quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
		n.Cluster = c
		return c, err
	})
}

func newSwitch(t testing.TB) *quorum.Switch {
	s := quorum.NewSwitch(open(t, vfs.NewMem(), quorum.Options{}))
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSwitchBeforeItHasGoneOver(t *testing.T) {
	t.Parallel()
	quorumtest.Run(t, func(t *testing.T) quorum.Store { return newSwitch(t) })
}

func TestSwitchAfterItHasGoneOver(t *testing.T) {
	t.Parallel()
	quorumtest.Run(t, func(t *testing.T) quorum.Store {
		s := newSwitch(t)
		if err := newNode(t, 1).to(t, s); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it leads", func() bool { return s.Leadership().Here })
		return s
	})
}

// QUO-1, QUO-2: while writers commit and followers follow, the store goes over to a cluster. Every acknowledged commit is in one history,
// once; the followers see that history without a gap and without a double, and have it when Commit returns.
func TestSwitchUnderConcurrentCommits(t *testing.T) {
	t.Parallel()
	s, n := newSwitch(t), newNode(t, 1)
	var told []quorum.Leadership
	var telling sync.Mutex
	stop := s.Watch(func(l quorum.Leadership) {
		telling.Lock()
		defer telling.Unlock()
		told = append(told, l)
	})
	defer stop()
	histories := make([]history, 2)
	for i := range histories {
		histories[i].follow(t, s)
	}
	quorumtest.Commit(t, s, quorumtest.Set("first", "1"))
	for i := range histories {
		eventually(t, "the followers have begun", func() bool { return histories[i].at(1) != "" })
	}
	const writers, each = 4, 40
	half := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if i == each/2 {
					once.Do(func() { close(half) })
				}
				records := []metadata.Record{quorumtest.Set(fmt.Sprint("w", w), fmt.Sprint(i))}
				for {
					r, err := s.Commit(t.Context(), s.Leadership().Term, nil, records)
					if err == nil {
						for h := range histories {
							if histories[h].at(r) == "" {
								t.Errorf("Commit returned revision %d, a follower has not seen it", r)
							}
						}
						break
					}
					if !errors.Is(err, quorum.ErrStaleTerm) {
						t.Errorf("writer %d: %v", w, err)
						return
					}
				}
			}
		})
	}
	<-half
	if err := n.to(t, s); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	img, rev := quorumtest.Image(t, s)
	if rev != 1+writers*each {
		t.Fatalf("%d batches, %d were acknowledged", rev, 1+writers*each)
	}
	for i := range histories {
		eventually(t, "the followers have everything", func() bool { return histories[i].at(rev) != "" })
		if got := histories[i].at(rev); got != fingerprint(img) {
			t.Fatalf("a follower has %q, the store %q", got, fingerprint(img))
		}
		for r := range rev {
			if a, b := histories[0].at(r+1), histories[i].at(r+1); a != b {
				t.Fatalf("two followers disagree at revision %d", r+1)
			}
		}
	}
	if err := s.Follow(within(t), rev-1, func(quorum.Batch) error { return errors.New("seen") }); err == nil || err.Error() != "seen" {
		t.Fatal(err)
	}
	telling.Lock()
	defer telling.Unlock()
	if first, last := told[0], told[len(told)-1]; !first.Here || first.Term != 1 || !last.Here || last.Term <= 1 {
		t.Fatalf("told %v", told)
	}
}

// When the cluster cannot be started everything goes on as it was, and can be tried again.
func TestSwitchThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	s, n := newSwitch(t), newNode(t, 1)
	before := quorumtest.Commit(t, s, quorumtest.Set("a", "1"))
	own := errors.New("no cluster today")
	err := s.To(within(t), func(got metadata.Snapshot, r quorum.Revision) (*quorum.Cluster, error) {
		if r != before || len(got.Records) == 0 {
			t.Errorf("revision %d with %d records", r, len(got.Records))
		}
		return nil, own
	})
	if !errors.Is(err, own) {
		t.Fatal(err)
	}
	if rev := quorumtest.Commit(t, s, quorumtest.Set("a", "2")); rev != before+1 {
		t.Fatalf("revision %d follows %d", rev, before)
	}
	// A cluster that has begun, but did not get as far as the import, is void.
	ctx, cancel := context.WithCancel(t.Context())
	err = s.To(ctx, func(metadata.Snapshot, quorum.Revision) (*quorum.Cluster, error) {
		c, err := quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
		cancel()
		return c, err
	})
	if !errors.Is(err, context.Canceled) || quorum.Exists(n.opts.Dir) {
		t.Fatal(err, quorum.Exists(n.opts.Dir))
	}
	if rev := quorumtest.Commit(t, s, quorumtest.Set("a", "3")); rev != before+2 {
		t.Fatalf("revision %d follows %d", rev, before+1)
	}
	if err := n.to(t, s); err != nil {
		t.Fatal(err)
	}
	if err := n.to(t, s); err == nil {
		t.Fatal("went over twice")
	}
	eventually(t, "it leads", func() bool { return s.Leadership().Here })
	if rev := quorumtest.Commit(t, s, quorumtest.Set("a", "4")); rev != before+3 {
		t.Fatalf("revision %d follows %d", rev, before+2)
	}
}

// Whatever the moment of a crash, a restart finds either the Local or the Cluster, with everything that was acknowledged: the marker
// decides, and it is there exactly when the import is.
func TestCrashDuringASwitchLeavesOneStore(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"before the start", "before the import", "after the import", "after a commit"} {
		t.Run(moment, func(t *testing.T) {
			disk := vfs.NewMem()
			local, n := open(t, disk, quorum.Options{}), newNode(t, 1)
			s := quorum.NewSwitch(local)
			acked := quorumtest.Commit(t, s, quorumtest.Set("a", "1"))
			var crashed *vfs.Mem
			crash := func(when string) {
				if when == moment {
					crashed = disk.Crash(nil, vfs.LoseUnsynced)
				}
			}
			died := errors.New("died")
			_ = s.To(within(t), func(snapshot metadata.Snapshot, r quorum.Revision) (*quorum.Cluster, error) {
				crash("before the start")
				if crashed != nil {
					return nil, died
				}
				c, err := quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
				if err != nil {
					return nil, err
				}
				n.Cluster = c
				if crash("before the import"); crashed != nil {
					_ = c.Kill()
					return nil, died
				}
				err = c.Import(within(t), snapshot, r)
				if crash("after the import"); err == nil && crashed != nil {
					_ = c.Kill()
				}
				return c, err
			})
			if crashed == nil {
				eventually(t, "it leads", func() bool { return s.Leadership().Here })
				acked = quorumtest.Commit(t, s, quorumtest.Set("a", "2"))
				crash(moment)
				_ = n.Kill()
			}
			_ = s.Close()
			if !quorum.Exists(n.opts.Dir) {
				local = open(t, crashed, quorum.Options{})
				defer local.Close()
				if _, rev := quorumtest.Image(t, local); rev != acked {
					t.Fatalf("the Local has revision %d, %d was acknowledged", rev, acked)
				}
				return
			}
			n.restart(t)
			img, rev := quorumtest.Image(t, n)
			want := fmt.Sprint(acked)
			if rev != acked || img.Configs[metadata.Resource{Type: metadata.ResourceBroker}]["a"] != want {
				t.Fatalf("the Cluster has revision %d, %d was acknowledged", rev, acked)
			}
		})
	}
}

// Commits that come while the store goes over wait and then fail for certain: their term is over.
func TestCommitsWaitWhileTheStoreGoesOver(t *testing.T) {
	t.Parallel()
	s, n := newSwitch(t), newNode(t, 1)
	quorumtest.Commit(t, s, quorumtest.Set("a", "1"))
	term := s.Leadership().Term
	answered := make(chan error, 1)
	err := s.To(within(t), func(metadata.Snapshot, quorum.Revision) (*quorum.Cluster, error) {
		go func() {
			_, err := s.Commit(context.Background(), term, nil, []metadata.Record{quorumtest.Set("late", "1")})
			answered <- err
		}()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Commit(ctx, term, nil, []metadata.Record{quorumtest.Set("late", "2")}); !errors.Is(err, context.Canceled) {
			t.Errorf("a commit whose context has ended: %v", err)
		}
		return quorum.StartNew(t.Context(), n.opts, "token", []quorum.Member{n.member()})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-answered; !errors.Is(err, quorum.ErrStaleTerm) {
		// It may have come before To; then it was committed by the Local.
		if err != nil {
			t.Fatal(err)
		}
	}
	if img, _ := quorumtest.Image(t, s); img.Controller != kafka.NoBroker {
		t.Fatal("an image from nowhere")
	}
}
