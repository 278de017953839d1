package queue

import (
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Headers of a dead letter, as Kafka 4.4 writes them: text in UTF-8, numbers in decimal.
const (
	headerPrefix        = "__dlq.errors."
	headerTopic         = headerPrefix + "topic"
	headerPartition     = headerPrefix + "partition"
	headerOffset        = headerPrefix + "offset"
	headerGroup         = headerPrefix + "group"
	headerDeliveryCount = headerPrefix + "delivery.count"
	headerMessage       = headerPrefix + "message"
)

// Why a record is a dead letter, in Kafka's words.
const (
	causeRejected = "Offset rejected by client."
	causeTooOften = "Offset delivery count exceeded the threshold."
)

// letter is one dead letter.
type letter struct {
	offset kafka.Offset
	count  int16
	cause  string
	record *record.Record // the record itself; nil: not copied, or not to be read any more
}

// asRecord is the record that goes to the dead-letter topic. The headers that a copied record had come first, but for those of an earlier
// life as a dead letter.
func (l *letter) asRecord(group, topic string, partition int32, now kafka.Timestamp) record.Record {
	out := record.Record{Timestamp: now}
	if l.record != nil {
		out.Key, out.Value = l.record.Key, l.record.Value
		for _, h := range l.record.Headers {
			if !strings.HasPrefix(h.Key, headerPrefix) {
				out.Headers = append(out.Headers, h)
			}
		}
	}
	add := func(key, value string) {
		out.Headers = append(out.Headers, record.RecordHeader{Key: key, Value: []byte(value)})
	}
	add(headerTopic, topic)
	add(headerPartition, strconv.Itoa(int(partition)))
	add(headerOffset, strconv.FormatInt(int64(l.offset), 10))
	add(headerGroup, group)
	add(headerDeliveryCount, strconv.Itoa(int(l.count)))
	add(headerMessage, l.cause)
	return out
}

// buildLetters makes one batch of dead letters; at least one, and as many more as fit into most bytes. n is how many there are in it.
func buildLetters(letters []letter, group, topic string, partition int32, now kafka.Timestamp, most int) (batch record.Batches, n int, err error) {
	var recs []record.Record
	size := 0
	for i := range letters {
		r := letters[i].asRecord(group, topic, partition, now)
		r.Offset = kafka.Offset(i)
		bytes := len(r.Key) + len(r.Value) + 32
		for _, h := range r.Headers {
			bytes += len(h.Key) + len(h.Value) + 10
		}
		if size+bytes > most && i > 0 {
			break
		}
		size += bytes
		recs = append(recs, r)
	}
	batch, err = record.Build(nil, record.PlainOptions(), recs)
	return batch, len(recs), err
}
