package quorumtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Run checks a Store. open returns a new, empty one that leads here; Run closes it.
func Run(t *testing.T, open func(t *testing.T) quorum.Store) {
	for name, test := range map[string]func(*testing.T, quorum.Store){
		"LoadThenFollowGivesEverythingOnce": loadThenFollow,
		"CommitIsSeenByFollowersAtReturn":   commitIsFollowed,
		"ConcurrentCommitsAreOneHistory":    concurrentCommits,
		"StaleTermFails":                    staleTerm,
		"GuardFailsOnceSomethingWasWritten": guards,
		"ContradictionsAreRefusedAsAWhole":  contradictions,
		"FollowEndsWithItsContextAndError":  followEnds,
		"CloseEndsFollowAndRefusesCommits":  closeEnds,
		"WatchTellsThePresentAtOnce":        watch,
		"CommitOfNothingReturnsTheRevision": commitNothing,
		"CommitAfterItsContextEndedIsNone":  commitCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			test(t, s)
		})
	}
}

// Set is a record that can be committed any number of times.
func Set(name, value string) metadata.Record {
	return &metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceBroker}, Name: name, Value: &value}
}

// Commit commits records in the present term or ends the test.
func Commit(t *testing.T, s quorum.Store, records ...metadata.Record) quorum.Revision {
	t.Helper()
	rev, err := s.Commit(t.Context(), s.Leadership().Term, nil, records)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// Image loads and folds.
func Image(t *testing.T, s quorum.Store) (*metadata.Image, quorum.Revision) {
	t.Helper()
	snapshot, rev, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := snapshot.Image()
	if err != nil {
		t.Fatal(err)
	}
	return img, rev
}

// follow runs Follow in the background, folding into img; done gives its error.
func follow(ctx context.Context, s quorum.Store, img *metadata.Image, after quorum.Revision, each func(quorum.Revision, *metadata.Image) error) <-chan error {
	done := make(chan error, 1)
	go func() {
		last := after
		done <- s.Follow(ctx, after, func(b quorum.Batch) error {
			if b.Revision != last+1 {
				return fmt.Errorf("revision %d follows %d", b.Revision, last)
			}
			last = b.Revision
			var err error
			if img, _, err = metadata.Fold(img, b.Records); err != nil {
				return err
			}
			return each(b.Revision, img)
		})
	}()
	return done
}

func loadThenFollow(t *testing.T, s quorum.Store) {
	for i := range 5 {
		Commit(t, s, Set("a", fmt.Sprint(i)))
	}
	img, rev := Image(t, s)
	if got := img.Configs[metadata.Resource{Type: metadata.ResourceBroker}]["a"]; got != "4" {
		t.Fatalf("a is %q in the snapshot", got)
	}
	stop := errors.New("seen enough")
	done := follow(t.Context(), s, img, rev, func(r quorum.Revision, img *metadata.Image) error {
		if want := fmt.Sprint(r); img.Configs[metadata.Resource{Type: metadata.ResourceBroker}]["b"] != want {
			return fmt.Errorf("b is not %s at revision %d", want, r)
		}
		if r == rev+50 {
			return stop
		}
		return nil
	})
	for i := range 50 {
		Commit(t, s, Set("b", fmt.Sprint(int(rev)+i+1)))
	}
	if err := <-done; !errors.Is(err, stop) {
		t.Fatal(err)
	}
}

// QUO-1
func commitIsFollowed(t *testing.T, s quorum.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var seen quorum.Revision
	began := make(chan struct{}, 100)
	img, rev := Image(t, s)
	done := follow(ctx, s, img, rev, func(r quorum.Revision, _ *metadata.Image) error {
		mu.Lock()
		defer mu.Unlock()
		seen = r
		began <- struct{}{}
		return nil
	})
	Commit(t, s, Set("first", "1"))
	<-began // the follower is certainly registered now
	for range 20 {
		want := Commit(t, s, Set("a", "1"))
		mu.Lock()
		if seen < want {
			t.Fatalf("Commit returned revision %d, the follower has seen %d", want, seen)
		}
		mu.Unlock()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// QUO-2
func concurrentCommits(t *testing.T, s quorum.Store) {
	const writers, each = 8, 20
	img, rev := Image(t, s)
	all := errors.New("all seen")
	histories := [2][]string{}
	var done [2]<-chan error
	for i := range done {
		done[i] = follow(t.Context(), s, img, rev, func(r quorum.Revision, img *metadata.Image) error {
			histories[i] = append(histories[i], fmt.Sprint(r, img.Offset, img.Configs))
			if r == rev+writers*each {
				return all
			}
			return nil
		})
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := quorum.Revision(0)
			for i := range each {
				r, err := s.Commit(t.Context(), s.Leadership().Term, nil, []metadata.Record{Set(fmt.Sprint("w", w), fmt.Sprint(i))})
				if err != nil || r <= last {
					t.Errorf("writer %d: revision %d after %d (%v)", w, r, last, err)
				}
				last = r
			}
		})
	}
	wg.Wait()
	for i := range done {
		if err := <-done[i]; !errors.Is(err, all) {
			t.Fatal(err)
		}
	}
	for i := range histories[0] {
		if histories[0][i] != histories[1][i] {
			t.Fatalf("two followers disagree at %s and %s", histories[0][i], histories[1][i])
		}
	}
}

// QUO-3
func staleTerm(t *testing.T, s quorum.Store) {
	before := Commit(t, s, Set("a", "1"))
	for _, term := range []quorum.Term{s.Leadership().Term - 1, 0} {
		if _, err := s.Commit(t.Context(), term, nil, []metadata.Record{Set("a", "2")}); !errors.Is(err, quorum.ErrStaleTerm) {
			t.Fatalf("term %d: %v", term, err)
		}
	}
	if _, rev := Image(t, s); rev != before {
		t.Fatalf("revision %d after a refused commit, %d before", rev, before)
	}
}

func guards(t *testing.T, s quorum.Store) {
	rev := Commit(t, s, Set("a", "1"))
	term := s.Leadership().Term
	next, err := s.Commit(t.Context(), term, []quorum.Guard{{Head: rev}}, []metadata.Record{Set("a", "2")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), term, []quorum.Guard{{Head: rev}}, []metadata.Record{Set("a", "3")}); !errors.Is(err, quorum.ErrGuard) {
		t.Fatal(err)
	}
	if img, now := Image(t, s); now != next || img.Configs[metadata.Resource{Type: metadata.ResourceBroker}]["a"] != "2" {
		t.Fatal("the refused commit left traces")
	}
}

func contradictions(t *testing.T, s quorum.Store) {
	before := Commit(t, s, &metadata.ProducerIDsRecord{Next: 1000})
	bad := []metadata.Record{Set("a", "1"), &metadata.ProducerIDsRecord{Next: 10}}
	if _, err := s.Commit(t.Context(), s.Leadership().Term, nil, bad); !errors.Is(err, metadata.ErrConflict) {
		t.Fatal(err)
	}
	if img, rev := Image(t, s); rev != before || len(img.Configs) != 0 {
		t.Fatal("the refused commit left traces")
	}
}

func followEnds(t *testing.T, s quorum.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Follow(ctx, 0, func(quorum.Batch) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	Commit(t, s, Set("a", "1"))
	own := errors.New("mine")
	if err := s.Follow(t.Context(), 0, func(quorum.Batch) error { return own }); !errors.Is(err, own) {
		t.Fatal(err)
	}
	Commit(t, s, Set("a", "2")) // does not wait for who has left
}

func closeEnds(t *testing.T, s quorum.Store) {
	term := s.Leadership().Term
	began := make(chan struct{})
	done := follow(t.Context(), s, metadata.Empty(), 0, func(quorum.Revision, *metadata.Image) error { close(began); return nil })
	Commit(t, s, Set("a", "1"))
	<-began
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, quorum.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), term, nil, []metadata.Record{Set("a", "2")}); !errors.Is(err, quorum.ErrClosed) {
		t.Fatal(err)
	}
	if _, _, err := s.Load(t.Context()); !errors.Is(err, quorum.ErrClosed) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("a second Close: %v", err)
	}
}

func watch(t *testing.T, s quorum.Store) {
	var told []quorum.Leadership
	stop := s.Watch(func(l quorum.Leadership) { told = append(told, l) })
	if len(told) != 1 || told[0] != s.Leadership() || !told[0].Here {
		t.Fatalf("told %v, it is %v", told, s.Leadership())
	}
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 {
		t.Fatalf("told %v after stop", told)
	}
	if s.Leadership().Here {
		t.Fatal("a closed store leads")
	}
}

func commitNothing(t *testing.T, s quorum.Store) {
	want := Commit(t, s, Set("a", "1"))
	if got := Commit(t, s); got != want {
		t.Fatalf("revision %d, want %d", got, want)
	}
}

func commitCancelled(t *testing.T, s quorum.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Commit(ctx, s.Leadership().Term, nil, []metadata.Record{Set("a", "1")}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, rev := Image(t, s); rev != 0 {
		t.Fatalf("revision %d", rev)
	}
}
