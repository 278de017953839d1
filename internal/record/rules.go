package record

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// TimestampType says whose clock a topic's records carry, with Kafka's numbers.
type TimestampType int8

// CreateTime is the producer's clock, LogAppendTime the broker's (message.timestamp.type).
const (
	CreateTime    TimestampType = 0
	LogAppendTime TimestampType = 1
)

// String is the name that Kafka's configuration uses.
func (t TimestampType) String() string {
	if t == LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

// Rules are what a topic asks of batches that producers send. The zero value asks only what the format asks.
type Rules struct {
	MaxBatchBytes int           // max.message.bytes; 0: no limit. A larger batch is kafka.MessageTooLarge.
	RequireKeys   bool          // a compacted topic: a record without a key is kafka.InvalidRecord
	TimestampType TimestampType // LogAppendTime: the producer's timestamps do not matter. Stamping is the caller's: StampAppendTime.

	// message.timestamp.before.max.ms and after.max.ms: how far a timestamp may lie from now; beyond it is kafka.InvalidTimestamp.
	// 0: no limit. The comparison is in whole milliseconds, so "not at all" is any duration below one, such as a nanosecond.
	TimestampBeforeMax time.Duration
	TimestampAfterMax  time.Duration

	// compression.type other than producer: a batch in another codec is rewritten in Codec at Level (Kafka's levels; 0: the default).
	Recompress bool
	Codec      Codec
	Level      int

	// MaxDecompressed bounds each record of a compressed batch, in bytes, where records are walked (max.decompressed.message.bytes);
	// 0: DefaultMaxDecompressed, which also bounds all records of a batch together. Beyond is kafka.InvalidRecord, Kafka's answer.
	MaxDecompressed int
	CheckRecords    bool // the topic asks that every record is walked

	// Delays: records may ask for a time before which they are not delivered (rafka.delivery.delay.enable).
	Delays bool
}

// NeedsRecords reports whether these rules can be checked only by walking the records of a batch, and so decompressing it (REC-4).
func (r *Rules) NeedsRecords(h *Header) bool {
	return r.RequireKeys || r.CheckRecords || r.Delays || r.rewrites(h)
}

// rewrites reports whether the batch has to be compressed in another way.
func (r *Rules) rewrites(h *Header) bool { return r.Recompress && r.Codec != h.Codec() }

// checkTimestamp applies the limits around now to one timestamp; what says whose it is.
func (r *Rules) checkTimestamp(ts, now kafka.Timestamp, what string) error {
	if r.TimestampType == LogAppendTime || ts == kafka.NoTimestamp {
		return nil
	}
	if before := r.TimestampBeforeMax; before > 0 && ts < now-kafka.Timestamp(before/time.Millisecond) {
		return kafka.Errorf(kafka.InvalidTimestamp, "%s %d is more than %v before the broker's time %d (message.timestamp.before.max.ms)", what, ts, before, now)
	}
	if after := r.TimestampAfterMax; after > 0 && ts > now+kafka.Timestamp(after/time.Millisecond) {
		return kafka.Errorf(kafka.InvalidTimestamp, "%s %d is more than %v after the broker's time %d (message.timestamp.after.max.ms)", what, ts, after, now)
	}
	return nil
}
