package route

import (
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// TailFetcher implements broker.TailFetchers.
func (v *Verbs) TailFetcher() broker.TailFetcher {
	f := &tailFetcher{v: v, polls: map[kafka.BrokerID]*poll{}, heard: make(chan struct{}, 1)}
	f.ctx, f.stop = context.WithCancel(v.ctx)
	return f
}

// tailFetcher fetches for one Tail. It keeps a fetch under way at each broker that leads one of the Tail's partitions, until that broker has
// answered: another one's answer ends the wait of the Tail and nothing else (RTE-3).
type tailFetcher struct {
	v       *Verbs
	ctx     context.Context // of the polls
	stop    context.CancelFunc
	running sync.WaitGroup
	heard   chan struct{} // room for one: a poll has ended

	polls map[kafka.BrokerID]*poll // of who fetches
}

// Close implements broker.TailFetcher.
func (f *tailFetcher) Close() {
	f.stop()
	for _, p := range f.polls {
		p.drop()
	}
	f.running.Wait()
}

// Fetch implements broker.TailFetcher.
func (f *tailFetcher) Fetch(s *broker.Session, req *broker.FetchRequest) broker.Await[[]broker.FetchResult] {
	return tailFetch{f, s, req}
}

type tailFetch struct {
	f   *tailFetcher
	s   *broker.Session
	req *broker.FetchRequest
}

// Wait implements broker.Await: it returns when one broker has answered, req.MaxWait has passed or ctx ends.
//
// Per partition: the errors of broker.Fetch, here or there, LeaderNotAvailable and NetworkException.
func (t tailFetch) Wait(ctx context.Context) []broker.FetchResult {
	f := t.f
	results := make([]broker.FetchResult, len(t.req.Partitions))
	byLeader := map[kafka.BrokerID][]int{}
	img := f.v.Image()
	answered := len(results) == 0
	for i := range t.req.Partitions {
		at := &t.req.Partitions[i]
		where, err := find(img, at.Topic, at.TopicID, at.Partition)
		if err == nil && where.leader == kafka.NoBroker {
			err = errNoLeader
		}
		if err != nil {
			results[i], answered = failedFetch(err), true
			continue
		}
		results[i] = broker.FetchResult{HighWatermark: broker.Unanswered, LastStable: kafka.NoOffset, LogStart: kafka.NoOffset, Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch, PreferredRead: kafka.NoBroker}
		byLeader[where.leader] = append(byLeader[where.leader], i)
	}
	if len(byLeader[f.v.opts.NodeID]) == len(results) && len(f.polls) == 0 {
		return f.v.Local.Fetch(t.s, t.req).Wait(ctx) // RTE-2
	}
	t.begin(byLeader)
	wait := time.NewTimer(t.req.MaxWait)
	defer wait.Stop()
	for {
		for leader, which := range byLeader {
			if p := f.polls[leader]; p != nil && p.isDone() {
				p.fill(t.req, which, results)
				delete(f.polls, leader)
				delete(byLeader, leader)
				answered = true
			}
		}
		if answered {
			return results
		}
		select {
		case <-f.heard:
		case <-wait.C:
			return results
		case <-ctx.Done():
			return results
		}
	}
}

// begin makes the polls be what is asked for: those that ask for the same already go on.
func (t tailFetch) begin(byLeader map[kafka.BrokerID][]int) {
	f := t.f
	for leader, p := range f.polls {
		if which, asked := byLeader[leader]; !asked || !p.asksFor(t.req, which) {
			p.drop()
			delete(f.polls, leader)
		}
	}
	for leader, which := range byLeader {
		if f.polls[leader] == nil {
			f.polls[leader] = f.newPoll(leader, t.s, t.req, which)
		}
	}
}

// failedFetch is the answer about a partition that could not be read.
func failedFetch(err error) broker.FetchResult {
	return broker.FetchResult{
		Err: err, HighWatermark: kafka.NoOffset, LastStable: kafka.NoOffset, LogStart: kafka.NoOffset,
		Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch, PreferredRead: kafka.NoBroker,
	}
}
