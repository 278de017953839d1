package kafkasrv

import (
	"fmt"
	"math"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/wire"
)

// placed is an extent that goes into the answer after meta[:at].
type placed struct {
	at      int
	records storage.Extent
}

// encode makes the answer of the chosen results: meta, and where records go into it. Neighbours of one topic form a group, as in Kafka.
func (f *fetchCall) encode(r *request, code kafka.ErrorCode, session int32) {
	b := wire.BeginResponse(f.meta[:0], r.correlation, r.flexible)
	b = wire.AppendInt32(b, 0) // throttle
	if r.version >= 7 {
		b = wire.AppendInt16(b, int16(code))
		b = wire.AppendInt32(b, session)
	}
	var to leaders
	b = wire.AppendCount(b, f.groups(), r.flexible)
	for first := 0; first < len(f.chosen); {
		next := f.groupEnd(first)
		b = f.appendGroup(b, r, f.chosen[first:next], &to)
		first = next
	}
	if r.flexible {
		if r.version < 16 {
			to = nil
		}
		b = to.appendTag(b, r)
	}
	f.meta = b
}

// groupEnd is the end of the group that begins at chosen[first].
func (f *fetchCall) groupEnd(first int) int {
	p := &f.req.Partitions[f.chosen[first]]
	for i := first + 1; i < len(f.chosen); i++ {
		if q := &f.req.Partitions[f.chosen[i]]; q.Topic != p.Topic || q.TopicID != p.TopicID {
			return i
		}
	}
	return len(f.chosen)
}

func (f *fetchCall) groups() (n int) {
	for first := 0; first < len(f.chosen); first = f.groupEnd(first) {
		n++
	}
	return n
}

func (f *fetchCall) appendGroup(b []byte, r *request, group []int32, to *leaders) []byte {
	topic := &f.req.Partitions[group[0]]
	if r.version >= 13 {
		b = append(b, topic.TopicID[:]...)
	} else {
		b = wire.AppendString(b, topic.Topic, r.flexible)
	}
	b = wire.AppendCount(b, len(group), r.flexible)
	for _, i := range group {
		res := &f.results[i]
		to.add(res.Err, res.Leader)
		b = appendFetchHead(b, r, f.req.Partitions[i].Partition, f.req.Isolation, res)
		size := 0
		if res.Records != nil {
			size = res.Records.Len()
		}
		b = wire.AppendCount(b, size, r.flexible)
		if size > 0 {
			f.extents = append(f.extents, placed{len(b), res.Records})
		}
		if r.flexible {
			b = appendFetchTags(b, r, res)
		}
	}
	return wire.AppendNoTags(b, r.flexible)
}

// appendFetchHead appends a partition up to its records.
func appendFetchHead(b []byte, r *request, partition int32, isolation broker.Isolation, res *broker.FetchResult) []byte {
	b = wire.AppendInt32(b, partition)
	b = wire.AppendInt16(b, int16(kafka.CodeOf(res.Err)))
	b = wire.AppendInt64(b, int64(res.HighWatermark))
	b = wire.AppendInt64(b, int64(res.LastStable))
	if r.version >= 5 {
		b = wire.AppendInt64(b, int64(res.LogStart))
	}
	if isolation == broker.ReadCommitted {
		b = wire.AppendCount(b, len(res.Aborted), r.flexible)
		for i := range res.Aborted {
			b = wire.AppendInt64(b, int64(res.Aborted[i].Producer))
			b = wire.AppendInt64(b, int64(res.Aborted[i].First))
			b = wire.AppendNoTags(b, r.flexible)
		}
	} else {
		b = wire.AppendCount(b, -1, r.flexible) // null
	}
	if r.version >= 11 {
		b = wire.AppendInt32(b, int32(res.PreferredRead))
	}
	return b
}

// appendFetchTags appends what comes after a partition's records.
func appendFetchTags(b []byte, r *request, res *broker.FetchResult) []byte {
	leader := knowsLeader(res.Err, res.Leader)
	n := 0
	if res.Diverging != nil {
		n++
	}
	if leader {
		n++
	}
	b = wire.AppendUvarint(b, uint32(n))
	if d := res.Diverging; d != nil {
		b = append(b, 0, 13) // tag 0, bytes: epoch, end offset and no tags
		b = wire.AppendInt32(b, int32(d.Epoch))
		b = wire.AppendInt64(b, int64(d.End))
		b = append(b, 0)
	}
	if leader {
		b = appendLeader(b, 1, res.Leader, res.LeaderEpoch)
	}
	return b
}

// write fills in the length and writes meta with the records at their places. After an error the answer is cut short, so the connection
// cannot go on.
func (f *fetchCall) write(o *out) error {
	records := 0
	for _, x := range f.extents {
		records += x.records.Len()
	}
	if len(f.meta)+records > math.MaxInt32 {
		return fmt.Errorf("an answer of %d bytes does not fit into a frame", len(f.meta)+records)
	}
	wire.EndResponse(f.meta, 0, records)
	at := 0
	for _, x := range f.extents {
		if _, err := o.Write(f.meta[at:x.at]); err != nil {
			return err
		}
		at = x.at
		want := int64(x.records.Len())
		switch n, err := x.records.WriteTo(o); {
		case err != nil:
			return fmt.Errorf("write fetched records: %w", err)
		case n != want:
			return fmt.Errorf("write fetched records: %d bytes came instead of %d", n, want)
		}
	}
	_, err := o.Write(f.meta[at:])
	return err
}
