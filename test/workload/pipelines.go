package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pipelines read "in" as group "etl" and write each value to "out" in transactions that commit the offsets too. Some are aborted on purpose.
// Every output value says in which attempt it was written.
type pipelines struct {
	attempts, commits, aborts atomic.Int64

	mu        sync.Mutex
	committed map[int64]bool // attempt: what End said; one that ended in an error is in neither state
}

func newPipelines() *pipelines { return &pipelines{committed: map[int64]bool{}} }

// run is one member. A session whose producer cannot go on is replaced by a new one, as an application would.
func (p *pipelines) run(ctx context.Context, w *World, id int) {
	for generation := 0; ctx.Err() == nil; generation++ {
		if err := p.session(ctx, w, id, generation); err != nil && ctx.Err() == nil {
			w.T.Logf("pipeline %d starts anew: %v", id, err)
		}
	}
}

func (p *pipelines) session(ctx context.Context, w *World, id, generation int) error {
	s, err := kgo.NewGroupTransactSession(w.patient(kgo.TransactionalID(fmt.Sprintf("etl-%d", id)), kgo.TransactionTimeout(20*time.Second),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumerGroup("etl"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(3*time.Second), kgo.HeartbeatInterval(300*time.Millisecond), kgo.DefaultProduceTopic("out"),
		kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer s.Close()
	rng := rand.New(rand.NewPCG(w.Seed, uint64(1000+100*id+generation)))
	for ctx.Err() == nil {
		fetches := s.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return err
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		attempt := p.attempts.Add(1)
		failed := kgo.AbortingFirstErrPromise(s.Client())
		fetches.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Key: r.Value, Value: fmt.Appendf(nil, "%s/%d", r.Value, attempt)}, failed.Promise())
		})
		try := kgo.TransactionEndTry(failed.Err() == nil && rng.IntN(6) > 0)
		done, err := s.End(context.WithoutCancel(ctx), try)
		if err != nil {
			return fmt.Errorf("end: %w", err) // the outcome is not known
		}
		p.mu.Lock()
		p.committed[attempt] = done
		p.mu.Unlock()
		if done {
			p.commits.Add(1)
		} else {
			p.aborts.Add(1)
		}
	}
	return nil
}

// verify reads the output as an application at read_committed does: each input value stands there once, and nothing from an attempt that was
// aborted; attempts that were committed are there as a whole, since all input was read.
func (p *pipelines) verify(w *World, in *feed) {
	seen := map[string]string{}
	err := w.readAll("out", func(r *kgo.Record) {
		value, tail, _ := strings.Cut(string(r.Value), "/")
		var attempt int64
		if _, err := fmt.Sscanf(tail, "%d", &attempt); err != nil {
			w.T.Errorf("%q was never written", r.Value)
		}
		if done, known := p.committed[attempt]; known && !done {
			w.T.Errorf("%s of attempt %d is visible, which was aborted", value, attempt)
		}
		if was, twice := seen[value]; twice {
			w.T.Errorf("%s was written by %s and by %s", value, was, tail)
		}
		seen[value] = tail
		if _, ok := in.values[value]; !ok {
			w.T.Errorf("%s is in the output and was not acknowledged at the input", value)
		}
	})
	if err != nil {
		w.T.Error(err)
	}
	missing := 0
	for value := range in.values {
		if _, ok := seen[value]; !ok {
			if missing++; missing < 5 {
				w.T.Errorf("%s is missing in the output", value)
			}
		}
	}
	if missing > 0 {
		w.T.Errorf("%d of %d values are missing", missing, len(in.values))
	}
}
