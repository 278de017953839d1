package broker

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// TailVerbs are the verbs that a Tail calls; a Broker has them.
type TailVerbs interface {
	Image() *metadata.Image
	EnsureTopics(ctx context.Context, s *Session, names []string) []error
	Fetch(s *Session, req *FetchRequest) Await[[]FetchResult]
	ListOffsets(ctx context.Context, s *Session, replica kafka.BrokerID, iso Isolation, parts []ListOffsetsPartition) []ListOffsetsResult
}

// TailFetchers is what TailVerbs may have besides: each Tail fetches with one of its own, as that of a cluster does, where a fetch may be under
// way at one broker while another's records are delivered.
type TailFetchers interface {
	TailFetcher() TailFetcher
}

// TailFetcher fetches for one Tail, which asks for one thing at a time.
type TailFetcher interface {
	// Fetch is that of TailVerbs, but a partition of which nothing has been heard yet is answered with the high watermark Unanswered.
	Fetch(s *Session, req *FetchRequest) Await[[]FetchResult]
	// Close ends what is under way, and waits for that.
	Close()
}

// Unanswered stands for the high watermark in an answer that is none.
const Unanswered kafka.Offset = math.MaxInt64

// Where a Tail may start besides an offset, as ListOffsets names it.
const (
	FromLatest   kafka.Offset = -1
	FromEarliest kafka.Offset = -2
)

// TailOptions say what to read. Records of open and aborted transactions are read too, as Kafka's consumers do by default.
type TailOptions struct {
	Topic      string
	Partitions []int32 // nil: every partition, also those added while following
	// From is the offset to start at in every partition, or FromLatest or FromEarliest. An offset below the log start begins there.
	From kafka.Offset
	// Resume are the offsets to start at in some partitions instead, such as those that a group has committed. One that the log does not
	// have, or not any more, begins at the oldest record.
	Resume map[int32]kafka.Offset
	// Since starts at the first record that is as young as this instead; 0: not used.
	Since kafka.Timestamp
	// Follow goes on for ever; else the Tail ends where each partition ended when it was opened.
	Follow bool
	// Create creates the topic as first use does, if there is none.
	Create bool
	// MaxBytes bounds one fetch, and so what the Tail holds [256 KiB]. A larger batch comes all the same.
	MaxBytes int
	// MaxDecompressed bounds the records of one batch decompressed [64 MiB]; a batch beyond it ends the Tail with an error.
	MaxDecompressed int
	// Now is the clock for the latency of delivery. [time.Now]
	Now func() time.Time
	// Latency observes, for each batch fetched after the Tail had caught up once, the age of its newest record. [none]
	Latency *Latency
}

const (
	defaultTailBytes        = 256 << 10
	defaultMaxDecompressed  = 64 << 20
	tailWait                = 5 * time.Second // how long a fetch may wait; between two, new partitions are noticed
	firstPause, longerPause = 50 * time.Millisecond, time.Second
	maxFailures             = 20 // in a row, before a Tail that does not follow gives up: about 15 s
)

// Tail reads the records of a topic for doors whose clients do not speak Fetch. It pulls: whoever reads slowly slows down nothing but
// itself, and never holds more than one fetch. It starts no goroutine and belongs to one.
//
//	for tail.Next(ctx) {
//		for r := range tail.Records() { ... }
//		// flush here: Next may wait
//	}
//	err := tail.Err()
type Tail struct {
	verbs   TailVerbs
	fetcher TailFetcher // nil: the verbs fetch
	session *Session
	opts    TailOptions

	topic    *metadata.Topic
	parts    []tailPartition // in order of partition
	turn     int             // the part that is first in the next fetch, so that a busy one does not starve the others
	fetched  []FetchResult   // held until the next fetch; results of order
	order    []int           // which of parts each result is of
	failures int             // fetches in a row that brought nothing but retriable errors
	err      error
}

type tailPartition struct {
	partition int32
	next      kafka.Offset // of the next record to deliver
	end       kafka.Offset // where to stop, unless following
	moved     bool         // a record was delivered, or the start was taken from the log: next is no longer the caller's word
	live      bool         // has reached the high watermark once
}

// OpenTail finds the topic and where to start. Errors carry Kafka's code (kafka.CodeOf).
func OpenTail(ctx context.Context, verbs TailVerbs, s *Session, o TailOptions) (*Tail, error) {
	o.MaxBytes = cmp.Or(max(o.MaxBytes, 0), defaultTailBytes)
	o.MaxDecompressed = cmp.Or(max(o.MaxDecompressed, 0), defaultMaxDecompressed)
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &Tail{verbs: verbs, session: s, opts: o, topic: verbs.Image().Topics.ByName(o.Topic), turn: -1}
	if t.topic == nil {
		if !o.Create {
			return nil, kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no topic %q; create it first, or publish to it", o.Topic)
		}
		var err error
		if t.topic, err = ensureTopic(ctx, verbs, s, o.Topic); err != nil {
			return nil, err
		}
	}
	if o.From < FromEarliest {
		return nil, kafka.Errorf(kafka.OffsetOutOfRange, "%d is no offset; start at 0 or above, at -2 (the oldest) or at -1 (what comes from now on)", o.From)
	}
	if o.Partitions == nil {
		for p := range t.topic.Partitions {
			t.parts = append(t.parts, tailPartition{partition: int32(p)})
		}
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(o.Partitions))) {
		if p < 0 || int(p) >= len(t.topic.Partitions) {
			return nil, noSuchPartition(t.topic, p)
		}
		t.parts = append(t.parts, tailPartition{partition: p})
	}
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	if own, ok := verbs.(TailFetchers); ok {
		t.fetcher = own.TailFetcher()
	}
	return t, nil
}

// Topic is the name of the topic that the Tail reads.
func (t *Tail) Topic() string { return t.topic.Name }

// Err is why Next returned false: nil at the end of a Tail that does not follow, the cause if its context ended.
func (t *Tail) Err() error { return t.err }

// Position is the offset of the next record of a partition: where a later Tail goes on. False: the Tail does not read that partition.
func (t *Tail) Position(partition int32) (kafka.Offset, bool) {
	i, ok := slices.BinarySearchFunc(t.parts, partition, func(p tailPartition, want int32) int { return cmp.Compare(p.partition, want) })
	if !ok {
		return kafka.NoOffset, false
	}
	return t.parts[i].next, true
}

// Partitions are the partitions that the Tail reads, rising.
func (t *Tail) Partitions() []int32 {
	all := make([]int32, len(t.parts))
	for i := range t.parts {
		all[i] = t.parts[i].partition
	}
	return all
}

// Close gives back what the last fetch holds, and ends what is under way.
func (t *Tail) Close() {
	t.release()
	if t.fetcher != nil {
		t.fetcher.Close()
	}
}

// fetch asks for records.
func (t *Tail) fetch(req *FetchRequest) Await[[]FetchResult] {
	if t.fetcher != nil {
		return t.fetcher.Fetch(t.session, req)
	}
	return t.verbs.Fetch(t.session, req)
}

func (t *Tail) release() {
	for i := range t.fetched {
		if e := t.fetched[i].Records; e != nil {
			e.Release()
		}
	}
	t.fetched, t.order = nil, t.order[:0]
}
