package replica

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Methods answer what other brokers ask about replicas that are here, by the names of package digest. What is answered costs bounded work (16 MiB are read for a
// digest, one digest is made at a time) and holds up no append.
func (m *Manager) Methods() map[string]func(ctx context.Context, body []byte) ([]byte, error) {
	return map[string]func(ctx context.Context, body []byte) ([]byte, error){
		digest.MethodDigest: m.serveDigest,
		digest.MethodCopy:   m.serveCopy,
	}
}

func (m *Manager) serveDigest(ctx context.Context, body []byte) ([]byte, error) {
	q, err := digest.DecodeQuestion(body)
	if err != nil {
		return nil, err
	}
	d, err := m.digest(ctx, q)
	if err != nil {
		return nil, err
	}
	return d.Encode(), nil
}

func (m *Manager) serveCopy(_ context.Context, body []byte) ([]byte, error) {
	q, err := digest.DecodeQuestion(body)
	if err != nil {
		return nil, err
	}
	t, err := m.ByID(q.Topic)
	if err != nil {
		return nil, err
	}
	p, err := t.Partition(q.Partition)
	if err != nil {
		return nil, err
	}
	c, err := p.Copy(q.From, copyBytes)
	if err != nil {
		return nil, err
	}
	return c.Encode(), nil
}

// digest makes a digest of a replica that is here.
func (m *Manager) digest(ctx context.Context, q digest.Question) (*digest.Digest, error) {
	t, err := m.ByID(q.Topic)
	if err != nil {
		return nil, err
	}
	p, err := t.Partition(q.Partition)
	if err != nil {
		return nil, err
	}
	select {
	case m.digesting <- struct{}{}:
	case <-ctx.Done():
		return nil, kafka.Errorf(kafka.RequestTimedOut, "this broker is making digests for others: %w", ctx.Err())
	}
	defer func() { <-m.digesting }()
	return p.Digest(q.From, q.Below, q.Thorough)
}

// Compared is what a comparison of the replicas of a partition found.
type Compared struct {
	From, Next, End kafka.Offset // [From, Next) was compared; End is how far there is something to compare
	OnlyVerified    kafka.Offset // batches below may have been compacted on some replica: of them only their own checksums were verified
	Replicas        []ComparedReplica
	Differences     []digest.Difference
}

// ComparedReplica is one replica's part in it.
type ComparedReplica struct {
	Node          kafka.BrokerID
	Leads         bool
	InSync        bool
	Missing       error // why it could not be compared, or nil
	Start, End    kafka.Offset
	HighWatermark kafka.Offset
	Bytes         int64 // that it has read
	Batches       int
}

// Comparison says whose replicas of a partition are to be compared.
type Comparison struct {
	Topic     kafka.UUID
	Partition int32
	Leader    kafka.BrokerID
	Replicas  []kafka.BrokerID
	ISR       []kafka.BrokerID
	From      kafka.Offset
	Thorough  bool
}

// digestPatience is how long a replica may take for its digest.
const digestPatience = 30 * time.Second

// Compare compares the replicas of a partition from an offset on, as far as one digest of each goes, wherever they are. What differs is looked at twice, since
// logs are trimmed and compacted meanwhile. A replica that cannot be asked is said to be missing and does not keep the others from being compared.
func (m *Manager) Compare(ctx context.Context, q Comparison) Compared {
	c := m.compareOnce(ctx, q)
	if slices.ContainsFunc(c.Differences, func(d digest.Difference) bool { return d.Rule != digest.ByChecksum }) {
		c = m.compareOnce(ctx, q)
	}
	return c
}

func (m *Manager) compareOnce(ctx context.Context, q Comparison) Compared {
	c := Compared{From: q.From, Next: q.From, End: q.From}
	order := slices.Clone(q.Replicas)
	slices.SortStableFunc(order, func(a, b kafka.BrokerID) int { // the leader says how far its batches are committed
		switch {
		case a == q.Leader && b != q.Leader:
			return -1
		case b == q.Leader && a != q.Leader:
			return 1
		}
		return 0
	})
	told := make([]*digest.Digest, len(order))
	errs := make([]error, len(order))
	below, first := kafka.NoOffset, 0
	for ; first < len(order) && below < 0; first++ {
		if told[first], errs[first] = m.ask(ctx, order[first], q, kafka.NoOffset); errs[first] == nil {
			below, c.End = told[first].Next, min(told[first].HighWatermark, told[first].End)
		}
	}
	var all sync.WaitGroup
	for i := first; i < len(order); i++ {
		all.Go(func() { told[i], errs[i] = m.ask(ctx, order[i], q, below) })
	}
	all.Wait()
	var list []digest.Replica
	for i, id := range order {
		r := ComparedReplica{Node: id, Leads: id == q.Leader, InSync: slices.Contains(q.ISR, id), Missing: errs[i]}
		if d := told[i]; errs[i] == nil {
			r.Start, r.End, r.HighWatermark, r.Bytes, r.Batches = d.Start, d.End, d.HighWatermark, d.Bytes, len(d.Entries)
			list = append(list, digest.Replica{Node: id, Leads: r.Leads, Digest: d})
		}
		c.Replicas = append(c.Replicas, r)
	}
	if len(list) > 0 {
		found := digest.Compare(list)
		c.Next, c.OnlyVerified, c.Differences = max(found.Next, q.From), found.Compared, found.Differences
	}
	return c
}

// ask asks one replica for its digest.
func (m *Manager) ask(ctx context.Context, id kafka.BrokerID, q Comparison, below kafka.Offset) (*digest.Digest, error) {
	ctx, cancel := context.WithTimeout(ctx, digestPatience)
	defer cancel()
	question := digest.Question{Topic: q.Topic, Partition: q.Partition, From: q.From, Below: below, Thorough: q.Thorough}
	if id == m.opts.NodeID {
		return m.digest(ctx, question)
	}
	if m.opts.Call == nil {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "broker %d cannot be reached from here", id)
	}
	b, err := m.opts.Call(ctx, id, digest.MethodDigest, question.Encode())
	if err != nil {
		return nil, err
	}
	return digest.Decode(b)
}
