package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/vfs"
)

var node = controller.Node{Broker: metadata.Broker{ID: 1}, NewClusterID: "test"}

func options(s quorum.Store, p ...metadata.Publisher) Options {
	return Options{Store: s, Publishers: p, Env: controller.Env{
		Partitions: 1, Replication: 1, DeleteTopics: true, NewTopicID: kafka.NewUUID,
		Inherited: func(*metadata.Image, metadata.Resource, string) string { return "" },
	}}
}

func store(t testing.TB, fs vfs.FS) *quorum.Local {
	t.Helper()
	s, err := quorum.Open(quorum.Options{FS: fs, Dir: "/d", Node: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func start(t testing.TB, o Options) *Loop {
	t.Helper()
	l := New(o)
	if err := l.Start(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func topics(names ...string) (list []controller.NewTopic) {
	for _, n := range names {
		list = append(list, controller.NewTopic{Name: n, Partitions: 1, Replication: 1})
	}
	return list
}

// recorder is a publisher that checks what it is told: deltas without gaps, images that fit, one call at a time.
type recorder struct {
	t      *testing.T
	inside atomic.Bool // of Apply; not mu, which has takes too
	mu     sync.Mutex
	at     metadata.Offset
	topics map[string]bool
	before func() // runs inside Apply
}

func (r *recorder) Apply(img *metadata.Image, d *metadata.Delta) {
	if !r.inside.CompareAndSwap(false, true) {
		r.t.Error("two calls of Apply at a time")
	}
	defer r.inside.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil {
		r.before()
	}
	if d.From != r.at || d.To != img.Offset {
		r.t.Errorf("delta %d..%d with image %d after offset %d", d.From, d.To, img.Offset, r.at)
	}
	r.at = img.Offset
	if r.topics == nil {
		r.topics = map[string]bool{}
	}
	for _, c := range d.Topics {
		if c.Before != nil {
			delete(r.topics, c.Before.Name)
		}
		if c.After != nil {
			r.topics[c.After.Name] = true
		}
	}
}

func (r *recorder) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.topics[name]
}

// LOP-1: you read what you wrote: when a verb returns, the image has the change and every publisher was told, whoever else asks for changes at
// the same time. LOP-2: one call at a time, in order.
func TestAnswersComeAfterTheImageAndThePublishers(t *testing.T) {
	first, second := &recorder{t: t}, &recorder{t: t}
	l := start(t, options(store(t, vfs.NewMem()), first, second))
	seed := seed.Of(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for i := range 30 {
				name := fmt.Sprint("t", w, "-", rng.IntN(4))
				exists := l.Image().Topics.ByName(name) != nil // only this goroutine touches the name
				var err error
				switch {
				case !exists:
					err = l.CreateTopics(t.Context(), topics(name), false)[0].Err
				case rng.IntN(2) == 0:
					err = l.CreatePartitions(t.Context(), []controller.MorePartitions{{Topic: name, Total: int32(i + 2)}}, false)[0]
					if err == nil && len(l.Image().Topics.ByName(name).Partitions) != i+2 {
						t.Errorf("seed %d: %s does not have its partitions", seed, name)
					}
					exists = false
				default:
					err = l.DeleteTopics(t.Context(), []controller.TopicRef{{Name: name}})[0].Err
				}
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if is := l.Image().Topics.ByName(name) != nil; is == exists || first.has(name) == exists || second.has(name) == exists {
					t.Errorf("seed %d: %s is there: %v, before: %v", seed, name, is, exists)
				}
			}
		})
	}
	wg.Wait()
}

// validateOnly decides and changes nothing.
func TestValidateOnlyChangesNothing(t *testing.T) {
	s := store(t, nil)
	l := start(t, options(s))
	l.CreateTopics(t.Context(), topics("t"), false)
	_, before, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a := l.CreateTopics(t.Context(), topics("u"), true); a[0].Err != nil || a[0].Partitions != 1 {
		t.Fatalf("%+v", a)
	}
	if a := l.CreateTopics(t.Context(), topics("t"), true); !errors.Is(a[0].Err, kafka.TopicAlreadyExists) {
		t.Fatalf("%+v", a)
	}
	if e := l.CreatePartitions(t.Context(), []controller.MorePartitions{{Topic: "t", Total: 3}}, true); e[0] != nil {
		t.Fatal(e)
	}
	value := "1000"
	if e := l.AlterConfigs(t.Context(), []controller.AlterResource{{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}, Changes: []controller.ConfigChange{{Name: "retention.ms", Value: &value}}}}, true); e[0] != nil {
		t.Fatal(e)
	}
	if _, after, _ := s.Load(t.Context()); after != before {
		t.Fatalf("revision %d after, %d before", after, before)
	}
}

// LOP-3 and the price of many small requests: those that wait while a commit is on its way are one commit.
func TestWaitingRequestsAreOneCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := store(t, mem)
		l := start(t, options(s))
		inSync, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		mem.OnSync(func(string) { once.Do(func() { close(inSync); <-goOn }) })
		before := mem.Counts().Syncs
		var wg sync.WaitGroup
		wg.Go(func() { l.CreateTopics(t.Context(), topics("first"), false) })
		<-inSync
		for i := range 100 {
			wg.Go(func() {
				if a := l.CreateTopics(t.Context(), topics(fmt.Sprint("t", i)), false); a[0].Err != nil {
					t.Error(a[0].Err)
				}
			})
		}
		synctest.Wait()
		close(goOn)
		wg.Wait()
		if syncs := mem.Counts().Syncs - before; syncs != 2 {
			t.Fatalf("101 requests took %d syncs, want 2", syncs)
		}
		l.Close()
	})
}

// First uses at the same time create a topic once.
func TestConcurrentCreatesOfOneTopicCreateItOnce(t *testing.T) {
	l := start(t, options(store(t, nil)))
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 50 {
		wg.Go(func() {
			a := l.CreateTopics(t.Context(), topics("t"), false)
			mu.Lock()
			defer mu.Unlock()
			if a[0].Err == nil {
				created++
			} else if !errors.Is(a[0].Err, kafka.TopicAlreadyExists) {
				t.Error(a[0].Err)
			}
		})
	}
	wg.Wait()
	if created != 1 {
		t.Fatalf("created %d times", created)
	}
}

// Producer ids: no block twice, not even after a crash that forgets whatever was not synced.
func TestProducerIDBlocksAreNeverReused(t *testing.T) {
	mem := vfs.NewMem()
	seen := map[kafka.ProducerID]bool{}
	for range 3 {
		s := store(t, mem)
		l := start(t, options(s))
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				first, n, err := l.AllocateProducerIDs(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if err != nil || n != controller.ProducerIDBlock || seen[first] || first%kafka.ProducerID(n) != 0 {
					t.Errorf("block %d of %d (%v)", first, n, err)
				}
				seen[first] = true
			})
		}
		wg.Wait()
		crashed := mem.Crash(nil, vfs.LoseUnsynced)
		l.Close()
		_ = s.Close()
		mem = crashed
	}
	if len(seen) != 30 {
		t.Fatalf("%d blocks", len(seen))
	}
}

// What was there before a restart is in the first image and in the publishers' first delta.
func TestStartPublishesWhatTheStoreHas(t *testing.T) {
	mem := vfs.NewMem()
	s := store(t, mem)
	l := start(t, options(s))
	if l.Image().ClusterID != "test" || l.Image().Controller != 1 || len(l.Image().Brokers) != 1 {
		t.Fatalf("%+v", l.Image())
	}
	l.CreateTopics(t.Context(), topics("a", "b"), false)
	l.DeleteTopics(t.Context(), []controller.TopicRef{{Name: "b"}})
	want := l.Image()
	l.Close()
	_ = s.Close()
	for _, port := range []int32{0, 9092} { // once as it was, once registered anew
		again := store(t, mem)
		r := &recorder{t: t}
		l = New(options(again, r))
		n := node
		if port > 0 {
			n.Broker.Endpoints = []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: port}}
		}
		if err := l.Start(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if !r.has("a") || r.has("b") || l.Image().Topics.ByName("a").ID != want.Topics.ByName("a").ID {
			t.Fatalf("port %d: published %v", port, r.topics)
		}
		if want := want.Offset + metadata.Offset(min(port, 1)); l.Image().Offset != want {
			t.Fatalf("port %d: offset %d, want %d", port, l.Image().Offset, want)
		}
		l.Close()
		_ = again.Close()
	}
	foreign := node
	foreign.Broker.ID = 2
	if err := New(options(store(t, mem))).Start(t.Context(), foreign); !errors.Is(err, controller.ErrForeignData) {
		t.Fatal(err)
	}
}

// fake is a store whose Commit and Follow a test replaces.
type fake struct {
	quorum.Store
	commit func(records []metadata.Record) error
	follow func(error) error
	term   quorum.Term
}

func (f *fake) Commit(ctx context.Context, term quorum.Term, guards []quorum.Guard, records []metadata.Record) (quorum.Revision, error) {
	if f.commit != nil {
		if err := f.commit(records); err != nil {
			return 0, err
		}
	}
	return f.Store.Commit(ctx, term, guards, records)
}

func (f *fake) Leadership() quorum.Leadership {
	l := f.Store.Leadership()
	l.Term += f.term
	return l
}

func (f *fake) Follow(ctx context.Context, after quorum.Revision, fn func(quorum.Batch) error) error {
	err := f.Store.Follow(ctx, after, fn)
	if f.follow != nil {
		return f.follow(err)
	}
	return err
}

// CTL-6: a change that was not stored is answered with the code that tells the client what to do, leaves no trace in the image, and the next
// one is decided on the image as it is. LOP-3: a deposed controller's decision is not tried again.
func TestStoreErrorsReachTheClientWithTheirCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want kafka.ErrorCode
	}{
		{quorum.ErrStaleTerm, kafka.NotController},
		{quorum.ErrGuard, kafka.NotController},
		{quorum.ErrClosed, kafka.NotController},
		{quorum.ErrTooLarge, kafka.PolicyViolation},
		{fmt.Errorf("append: %w", vfs.ErrNoSpace), kafka.KafkaStorageError},
		{fmt.Errorf("sync: %w", quorum.ErrFailed), kafka.KafkaStorageError},
		{context.DeadlineExceeded, kafka.RequestTimedOut},
	} {
		f := &fake{Store: store(t, nil)}
		l := start(t, options(f))
		tries := 0
		f.commit = func([]metadata.Record) error { tries++; return c.err }
		answers := l.CreateTopics(t.Context(), topics("t", "u"), false)
		err := answers[0].Err
		if !errors.Is(answers[1].Err, c.err) {
			t.Errorf("of two topics in a request that was not stored one is answered with %v", answers[1].Err)
		}
		if kafka.CodeOf(err) != c.want || !errors.Is(err, c.err) || tries != 1 {
			t.Errorf("%v is told as %v after %d tries, want %v", c.err, kafka.CodeOf(err), tries, c.want)
		}
		for i, err := range []error{
			l.CreatePartitions(t.Context(), []controller.MorePartitions{{Topic: "x", Total: 1}}, false)[0],
			l.DeleteTopics(t.Context(), []controller.TopicRef{{Name: "t"}})[0].Err,
		} {
			if !errors.Is(err, kafka.UnknownTopicOrPartition) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if _, _, err := l.AllocateProducerIDs(t.Context()); kafka.CodeOf(err) != c.want {
			t.Errorf("producer ids: %v", err)
		}
		f.commit = nil
		if err := l.CreateTopics(t.Context(), topics("t"), false)[0].Err; err != nil {
			t.Errorf("after %v: %v", c.err, err)
		}
	}
}

// LOP-3: the term of the decision counts, so another one since then voids it.
func TestDecisionOfAnOlderTermIsVoid(t *testing.T) {
	f := &fake{Store: store(t, nil)}
	l := start(t, options(f))
	f.term = 1
	if err := l.CreateTopics(t.Context(), topics("t"), false)[0].Err; !errors.Is(err, kafka.NotController) || !errors.Is(err, quorum.ErrStaleTerm) {
		t.Fatal(err)
	}
}

// A request that asks for more than a commit holds is refused alone.
func TestOversizeRequestIsRefusedAlone(t *testing.T) {
	l := start(t, options(store(t, nil)))
	huge := make([]byte, maxGroupBytes)
	err := l.submit(t.Context(), func(*metadata.Image) []metadata.Record {
		v := string(huge)
		return []metadata.Record{&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceGroup, Name: "g"}, Name: "n", Value: &v}}
	})
	if !errors.Is(err, kafka.PolicyViolation) {
		t.Fatal(err)
	}
	if err := l.CreateTopics(t.Context(), topics("t"), false)[0].Err; err != nil {
		t.Fatal(err)
	}
}

// LOP-4: a caller that gives up before its request was begun leaves nothing behind; one that gives up later is told that it may have happened.
func TestCallerThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := &recorder{t: t}
		l := start(t, options(store(t, nil), r))
		r.before = func() { <-gate }
		var wg sync.WaitGroup
		ask := func(name string, patience time.Duration) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := l.CreateTopics(ctx, topics(name), false)[0].Err; !errors.Is(err, kafka.RequestTimedOut) {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
		}
		ask("begun", 2*time.Second)
		ask("not-begun", time.Second)
		wg.Wait()
		close(gate)
		r.before = nil
		if err := l.CreateTopics(t.Context(), topics("last"), false)[0].Err; err != nil {
			t.Fatal(err)
		}
		var names []string
		for topic := range l.Image().Topics.All() {
			names = append(names, topic.Name)
		}
		slices.Sort(names)
		if !slices.Equal(names, []string{"begun", "last"}) {
			t.Fatalf("topics %v", names)
		}
		l.Close()
	})
}

// MET-3: when the store gives something this build cannot follow, the loop ends and says why, and requests are refused.
func TestLoopEndsWhenItCannotFollow(t *testing.T) {
	own := errors.New("written by a newer version")
	f := &fake{Store: store(t, nil), follow: func(error) error { return own }}
	inner, cancel := context.WithCancel(t.Context())
	f.Store = cancelled{f.Store, inner}
	l := start(t, options(f))
	cancel()
	<-l.Done()
	if !errors.Is(l.Err(), own) {
		t.Fatal(l.Err())
	}
	if err := l.CreateTopics(t.Context(), topics("t"), false)[0].Err; kafka.CodeOf(err) == kafka.None {
		t.Fatal("a loop that has ended creates topics")
	}
}

// cancelled ends Follow when ctx does.
type cancelled struct {
	quorum.Store
	ctx context.Context
}

func (c cancelled) Follow(context.Context, quorum.Revision, func(quorum.Batch) error) error {
	<-c.ctx.Done()
	return c.ctx.Err()
}

// Close waits for both goroutines, and requests before Start and after Close are told to go elsewhere.
func TestRequestsOutsideOfStartAndCloseAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(options(store(t, nil)))
		if err := l.CreateTopics(t.Context(), topics("t"), false)[0].Err; !errors.Is(err, kafka.NotController) {
			t.Fatal(err)
		}
		if err := l.Start(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		l.Close()
		if err := l.DeleteTopics(t.Context(), []controller.TopicRef{{Name: "t"}})[0].Err; !errors.Is(err, kafka.NotController) {
			t.Fatal(err)
		}
		if l.Err() != nil {
			t.Fatal(l.Err())
		}
	})
}

func BenchmarkCreateTopicOf10000Partitions(b *testing.B) {
	l := start(b, options(store(b, nil)))
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		name := fmt.Sprint("t", i)
		if a := l.CreateTopics(b.Context(), []controller.NewTopic{{Name: name, Partitions: 10_000, Replication: 1}}, false); a[0].Err != nil {
			b.Fatal(a[0].Err)
		}
		l.DeleteTopics(b.Context(), []controller.TopicRef{{Name: name}})
	}
}
