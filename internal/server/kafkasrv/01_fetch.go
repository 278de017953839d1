package kafkasrv

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/wire"
)

// Fetch: v4-18
//
// Behaviour: decoded by the reader, which gives the frame back at once; session, reading, waiting and writing at its turn. Records are
// never copied into an answer: its pieces are encoded first, so that the length is known, and the extents are written between them.
// v5 log start offset · v7 sessions (KIP-227) · v9 leader epochs (KIP-320) · v10 zstd · v11 rack and preferred replica (KIP-392) ·
// v12 flexible, diverging epochs · v13 topic ids · v15 replica state as a tag (KIP-903) · v16 node endpoints (KIP-951) · v17, v18 fields
// that only KRaft's replicas send
// Left out: the checks of cluster id and directory id that only KRaft controllers make. The throttle time is 0.
// A follower's fetch is the same, on a peer connection only; its sessions are of its own kind (fetch_session.go).

// fetchCall is a fetch on its way. Pooled; the slices keep their room.
type fetchCall struct {
	req     broker.FetchRequest // Partitions: those named in the request, then those of the session
	id      int32               // of the session; 0: none
	epoch   int32
	forget  []fetchKey
	cached  []*cachedPartition // of the session, in the order of req.Partitions
	results []broker.FetchResult
	chosen  []int32 // which results the answer tells
	meta    []byte  // the answer but for records
	extents []placed
	done    bool // the broker has forgotten req
}

// maxPooledPartitions is of how many partitions a fetch may have been to be used again: as many as a follower may well have of one leader.
const maxPooledPartitions = 1 << 14

var fetchPool = sync.Pool{New: func() any { return new(fetchCall) }}

func (f *fetchCall) free() {
	f.releaseRecords()
	if !f.done || cap(f.req.Partitions) > maxPooledPartitions || cap(f.meta) > maxPooledOut {
		return
	}
	parts := f.req.Partitions[:0]
	clear(f.req.Partitions)
	clear(f.forget)
	clear(f.cached)
	clear(f.extents)
	*f = fetchCall{
		req: broker.FetchRequest{Partitions: parts}, forget: f.forget[:0], cached: f.cached[:0], chosen: f.chosen[:0], meta: f.meta[:0], extents: f.extents[:0],
	}
	fetchPool.Put(f)
}

// releaseRecords gives back what was read, written or not.
func (f *fetchCall) releaseRecords() {
	for i := range f.results {
		if x := f.results[i].Records; x != nil {
			x.Release()
		}
	}
	f.results = nil
}

// startFetch decodes.
func startFetch(r *request) error {
	f := fetchPool.Get().(*fetchCall)
	r.fetch = f
	s := r.conn.srv
	if err := f.parse(r, s.broker.Image(), s.partitionLimit()); err != nil {
		return err
	}
	r.releaseFrame()
	return nil
}

// parse decodes the body. It keeps nothing of the frame.
func (f *fetchCall) parse(r *request, img *metadata.Image, limit int) error {
	v, flexible := r.version, r.flexible
	in := wire.NewReader(r.body)
	f.req.ReplicaID, f.req.ReplicaEpoch = kafka.NoBroker, -1
	f.req.AnyReplica = v >= 11
	if v <= 14 {
		f.req.ReplicaID = kafka.BrokerID(in.Int32())
	}
	f.req.MaxWait = time.Duration(in.Int32()) * time.Millisecond
	f.req.MinBytes = int(in.Int32())
	f.req.MaxBytes = int(in.Int32())
	f.req.Isolation = broker.Isolation(in.Int8())
	f.epoch = sessionless
	if v >= 7 {
		f.id, f.epoch = in.Int32(), in.Int32()
	}
	f.req.Partitions = f.req.Partitions[:0]
	for range in.Count(flexible, 3) {
		topic, id := fetchTopic(&in, v, flexible, img)
		n := in.Count(flexible, 16)
		if limit -= 1 + n; limit < 0 || in.Err() != nil {
			return wire.ErrMalformed
		}
		for range n {
			f.req.Partitions = append(f.req.Partitions, fetchPartition(&in, v, topic, id))
		}
		if flexible {
			in.SkipTags()
		}
	}
	if v >= 7 {
		for range in.Count(flexible, 3) {
			topic, id := fetchTopic(&in, v, flexible, img)
			n := in.Count(flexible, 4)
			if limit -= 1 + n; limit < 0 || in.Err() != nil {
				return wire.ErrMalformed
			}
			for range n {
				f.forget = append(f.forget, fetchKey{topic, id, in.Int32()})
			}
			if flexible {
				in.SkipTags()
			}
		}
	}
	if v >= 11 {
		f.req.Rack = string(in.NullableString(flexible))
	}
	var bad error
	if flexible {
		in.Tags(func(tag uint32, value []byte) {
			if tag == 1 && v >= 15 { // replica state: id, epoch
				state := wire.NewReader(value)
				f.req.ReplicaID, f.req.ReplicaEpoch = kafka.BrokerID(state.Int32()), state.Int64()
				state.SkipTags()
				bad = cmp.Or(bad, state.Err())
			}
		})
	}
	if bad != nil {
		return bad
	}
	return in.Err()
}

func fetchTopic(in *wire.Reader, version int16, flexible bool, img *metadata.Image) (name string, id kafka.UUID) {
	if version >= 13 {
		return "", in.UUID()
	}
	return topicName(img, in.String(flexible)), kafka.UUID{}
}

func fetchPartition(in *wire.Reader, version int16, topic string, id kafka.UUID) broker.FetchPartition {
	p := broker.FetchPartition{
		Topic: topic, TopicID: id, Partition: in.Int32(),
		LeaderEpoch: kafka.NoEpoch, LastFetchedEpoch: kafka.NoEpoch, LogStart: kafka.NoOffset, KnownHW: kafka.NoOffset,
	}
	if version >= 9 {
		p.LeaderEpoch = kafka.LeaderEpoch(in.Int32())
	}
	p.Offset = kafka.Offset(in.Int64())
	if version >= 12 {
		p.LastFetchedEpoch = kafka.LeaderEpoch(in.Int32())
	}
	if version >= 5 {
		p.LogStart = kafka.Offset(in.Int64())
	}
	p.MaxBytes = int(in.Int32())
	if version >= 12 {
		in.SkipTags() // of replicas: directory id, high watermark
	}
	return p
}

// answerFetch resolves the session, reads, and writes the answer.
func (r *request) answerFetch(o *out) error {
	f := r.fetch
	s := r.conn.srv
	kind := sessionKind{byID: r.version >= 13, follower: r.session.Peer && f.req.ReplicaID >= 0}
	session, code := s.sessions.resolve(f, kind, s.opts.Now())
	if code != kafka.None {
		f.done = true
		f.encode(r, code, f.id)
		return f.write(o)
	}
	f.results = s.broker.Fetch(r.session, &f.req).Wait(r.conn.polls.of(r.conn.ctx))
	if r.conn.ctx.Err() != nil {
		return errClosed
	}
	f.done = true
	if len(f.results) != len(f.req.Partitions) {
		return errors.New("the broker answered another number of partitions than was asked")
	}
	if r.version < 10 {
		f.refuseZstd()
	}
	id := int32(0)
	switch {
	case session != nil && session.following == nil:
		id = session.id
		session.choose(f)
	case session != nil: // all of it is news
		id = session.id
		f.chooseAll()
	case f.epoch == firstEpoch:
		id = s.sessions.create(f, kind, s.opts.Now())
		fallthrough
	default:
		f.chooseAll()
	}
	f.encode(r, kafka.None, id)
	return f.write(o)
}

// chooseAll has the answer tell every result.
func (f *fetchCall) chooseAll() {
	for i := range f.results {
		f.chosen = append(f.chosen, int32(i))
	}
}

// refuseZstd keeps zstd from clients that speak no version that has it.
func (f *fetchCall) refuseZstd() {
	for i := range f.results {
		res := &f.results[i]
		if res.Records == nil {
			continue
		}
		batches, err := res.Records.Bytes()
		if err != nil {
			continue // writing them will meet the same error and close the connection
		}
		for h := range batches.All() {
			if h.Codec() == zstdCodec {
				res.Records.Release()
				res.Records, res.Err = nil, kafka.UnsupportedCompressionType
				break
			}
		}
	}
}
