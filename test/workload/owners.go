package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// owners are the members of a group that come, commit offsets of their own making for what they own, and go. They note who owns what.
type owners struct {
	protocol string
	commits  atomic.Int64

	mu        sync.Mutex
	owner     map[int32]string
	committed map[int32]int64 // the highest offset whose commit was acknowledged
	sent      map[int32]int64 // the highest offset anybody asked to commit
}

func newOwners(protocol string) *owners {
	return &owners{protocol: protocol, owner: map[int32]string{}, committed: map[int32]int64{}, sent: map[int32]int64{}}
}

func (o *owners) group() string { return "owners-" + o.protocol }

func (o *owners) run(ctx context.Context, w *World, id int) {
	rng := rand.New(rand.NewPCG(w.Seed, uint64(5000+id)))
	for life := 0; ctx.Err() == nil; life++ {
		o.member(ctx, w, fmt.Sprintf("%s-%d-%d", o.protocol, id, life), time.Duration(1+rng.IntN(6))*time.Second)
	}
}

// member joins, commits for what it owns every few milliseconds, and leaves after a while.
func (o *owners) member(ctx context.Context, w *World, name string, life time.Duration) {
	leaves := false // it owns nothing from then on, whatever its client is still told
	taken := func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if leaves {
			return
		}
		for _, p := range m["owned"] {
			if was := o.owner[p]; was != "" && was != name {
				w.T.Errorf("%s owns partition %d while %s does (harm began or ended %d times, the last time %v ago)", name, p, was, w.harm.Load(), w.sinceHarm())
			}
			o.owner[p] = name
		}
	}
	given := func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, p := range m["owned"] {
			if o.owner[p] == name {
				delete(o.owner, p)
			}
		}
	}
	opts := w.patient(kgo.ConsumerGroup(o.group()), kgo.ConsumeTopics("owned"), kgo.SessionTimeout(w.Session), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.DisableAutoCommit(), kgo.OnPartitionsAssigned(taken), kgo.OnPartitionsRevoked(given), kgo.OnPartitionsLost(given), kgo.FetchMaxWait(200*time.Millisecond))
	if o.protocol == "consumer" {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		w.T.Error(err)
		return
	}
	defer cl.Close()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		leaves = true
		for p, owner := range o.owner {
			if owner == name {
				delete(o.owner, p)
			}
		}
	}()
	end := time.Now().Add(life)
	for ctx.Err() == nil && time.Now().Before(end) {
		wait, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		cl.PollFetches(wait)
		cancel()
		o.commit(ctx, w, cl, name)
		cl.AllowRebalance()
	}
}

// commit commits the next offset of each partition that the member believes to own.
func (o *owners) commit(ctx context.Context, w *World, cl *kgo.Client, name string) {
	offsets := map[int32]kgo.EpochOffset{}
	o.mu.Lock()
	for p, owner := range o.owner {
		if owner == name {
			o.sent[p]++
			offsets[p] = kgo.EpochOffset{Epoch: -1, Offset: o.sent[p]}
		}
	}
	o.mu.Unlock()
	if len(offsets) == 0 {
		return
	}
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cl.CommitOffsetsSync(limit, map[string]map[int32]kgo.EpochOffset{"owned": offsets}, o.noted(offsets))
}

// verify holds the committed offsets against what was acknowledged: at least that, and nothing that nobody asked for.
func (o *owners) verify(w *World) {
	err := w.admin(func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
		got, err := adm.FetchOffsets(ctx, o.group())
		if err != nil {
			return err
		}
		for p, least := range o.committed {
			at, _ := got.Lookup("owned", p)
			if at.At < least || at.At > o.sent[p] {
				w.T.Errorf("%s: partition %d stands at %d, acknowledged was %d, asked for at most %d", o.group(), p, at.At, least, o.sent[p])
			}
		}
		return nil
	})
	if err != nil {
		w.T.Error(err)
	}
}

// noted is the callback of a commit: it notes what was acknowledged.
func (o *owners) noted(offsets map[int32]kgo.EpochOffset) func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error) {
	return func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					o.committed[p.Partition] = max(o.committed[p.Partition], offsets[p.Partition].Offset)
					o.commits.Add(1)
				}
			}
		}
	}
}
