package record

import (
	"bytes"
	"math"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Headers of records in topics with delays. The first two are a producer's, and only one of them: decimal text, in milliseconds. The others the
// broker puts in their place when it releases the record.
const (
	DeliverAt        = "rafka-deliver-at"        // not before this time since 1970
	DelayMs          = "rafka-delay-ms"          // not before so long after the append, by the broker's clock
	DelayedOffset    = "rafka-delayed-offset"    // the offset that the producer was told (ReleasedFrom)
	DelayedTimestamp = "rafka-delayed-timestamp" // the record's timestamp as it was produced; its own is the time of its release
)

// askPrefix is what the names of both headers that ask begin with.
var askPrefix = []byte("rafka-del")

// maxAskDigits is how long the value of a header that asks may be.
const maxAskDigits = 19

// ask is what one record asks.
type ask struct {
	kind  int8
	times int8 // how many headers ask; more than one is too many
	ms    int64
	bad   bool // it cannot be read
}

const (
	asksNothing int8 = iota
	asksTime
	asksDelay
)

// askKind tells a header by its name, of which the first bytes are given and the size.
func askKind(name []byte, size int) int8 {
	switch {
	case size == len(DeliverAt) && string(name[:min(size, len(name))]) == DeliverAt:
		return asksTime
	case size == len(DelayMs) && len(name) >= size && string(name[:size]) == DelayMs:
		return asksDelay
	}
	return asksNothing
}

// add notes one header. value is its beginning, size what it has in all, -1 for null.
func (a *ask) add(kind int8, value []byte, size int) {
	a.kind = kind
	a.times = min(a.times+1, 2)
	a.ms = 0
	if size <= 0 || size > maxAskDigits {
		a.bad = true
		return
	}
	for _, c := range value {
		if c < '0' || c > '9' || a.ms > (math.MaxInt64-9)/10 {
			a.bad = true
			return
		}
		a.ms = a.ms*10 + int64(c-'0')
	}
}

// Asked is what the records of one batch ask: when they are to be delivered.
type Asked struct {
	Due    []kafka.Timestamp // of each record, NoTimestamp: it asks for nothing; nil: none asks
	Sizes  []uint32          // of each record, in bytes
	Latest kafka.Timestamp   // of Due
}

// Later reports whether a record is to be delivered after now.
func (a *Asked) Later(now kafka.Timestamp) bool { return a.Due != nil && a.Latest > now }

// note takes in the next record of a batch.
func (a *Asked) note(i int32, rec *walked, now kafka.Timestamp) error {
	a.Sizes = append(a.Sizes, uint32(rec.size))
	due := kafka.NoTimestamp
	switch q := &rec.ask; {
	case q.kind == asksNothing:
	case q.times > 1:
		return kafka.Errorf(kafka.InvalidRecord, "record %d asks for several delivery times: send one of the headers %s and %s, once", i, DeliverAt, DelayMs)
	case q.bad:
		return kafka.Errorf(kafka.InvalidRecord, "record %d asks for a delivery time that cannot be read: %s and %s are milliseconds in decimal digits", i, DeliverAt, DelayMs)
	case q.kind == asksDelay && q.ms > math.MaxInt64-int64(now):
		return kafka.Errorf(kafka.InvalidRecord, "record %d asks for a delay of %d ms, which never ends", i, q.ms)
	case q.kind == asksDelay:
		due = now + kafka.Timestamp(q.ms)
	default:
		due = kafka.Timestamp(q.ms)
	}
	if due == kafka.NoTimestamp && a.Due == nil {
		return nil
	}
	if a.Due == nil {
		a.Latest = kafka.NoTimestamp
	}
	for len(a.Due) < int(i) {
		a.Due = append(a.Due, kafka.NoTimestamp)
	}
	a.Due = append(a.Due, due)
	a.Latest = max(a.Latest, due)
	return nil
}

// walks reports whether the records must be walked. If only delays ask for it, those of an uncompressed batch in which the name of no header
// that asks for one stands need not be.
func (r *Rules) walks(b Batches, h *Header) bool {
	if !r.NeedsRecords(h) {
		return false
	}
	return r.RequireKeys || r.CheckRecords || h.Codec() != None || bytes.Contains(b[HeaderSize:], askPrefix)
}

// Release makes the headers of a record what they are when its time has come: those that asked go, and DelayedOffset comes. now is where
// the record waited last; it differs from origin, the offset that the producer was told, if the broker had to move it. delayed says whether the
// record asked for a time: then its timestamp becomes a header, for at is the new one. It makes a new slice.
func Release(r *Record, origin, now kafka.Offset, delayed bool, at kafka.Timestamp) {
	headers := make([]RecordHeader, 0, len(r.Headers)+2)
	for _, h := range r.Headers {
		switch h.Key {
		case DeliverAt, DelayMs, DelayedOffset, DelayedTimestamp:
		default:
			headers = append(headers, h)
		}
	}
	where := strconv.AppendInt(nil, int64(origin), 10)
	if now != origin {
		where = strconv.AppendInt(append(where, '/'), int64(now), 10)
	}
	headers = append(headers, RecordHeader{Key: DelayedOffset, Value: where})
	if delayed {
		headers = append(headers, RecordHeader{Key: DelayedTimestamp, Value: strconv.AppendInt(nil, int64(r.Timestamp), 10)})
		r.Timestamp = at
	}
	r.Headers = headers
}

// ReleasedFrom reads where a record of a released batch waited last. kafka.CorruptMessage if it does not say.
func ReleasedFrom(r *Record) (kafka.Offset, error) {
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Key == DelayedOffset {
			_, now, moved := bytes.Cut(h.Value, []byte("/"))
			if !moved {
				now = h.Value
			}
			if offset, err := strconv.ParseInt(string(now), 10, 64); err == nil && offset >= 0 {
				return kafka.Offset(offset), nil
			}
		}
	}
	return kafka.NoOffset, kafka.Errorf(kafka.CorruptMessage, "the released record at offset %d does not say where it waited", r.Offset)
}
