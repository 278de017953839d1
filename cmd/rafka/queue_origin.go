package main

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// origin is where a dead letter comes from, as its headers say.
type origin struct {
	By         string `json:"by"` // kafka (KIP-1191), spring or connect: whose headers they are
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"` // -1: not said
	Offset     int64  `json:"offset"`    // -1: not said
	Group      string `json:"group,omitempty"`
	Deliveries string `json:"delivery_count,omitempty"`
	Why        string `json:"why,omitempty"`
}

// Prefixes of the headers of dead letters: Kafka's share groups, Spring's error handlers, Kafka Connect.
const (
	kafkaLetter   = "__dlq.errors."
	springLetter  = "kafka_dlt-"
	connectLetter = "__connect.errors."
)

// originOf reads a dead letter's headers; not ok: they do not say what topic it comes from. Where a header stands twice the first counts:
// Spring adds new ones at each retry, and the first are of the topic where it all began.
func originOf(headers []kgo.RecordHeader) (o origin, ok bool) {
	first := make(map[string][]byte, len(headers))
	for _, h := range headers {
		if _, has := first[h.Key]; !has {
			first[h.Key] = h.Value
		}
	}
	text := func(keys ...string) string {
		for _, k := range keys {
			if v, has := first[k]; has {
				return string(v)
			}
		}
		return ""
	}
	o = origin{Partition: -1, Offset: -1}
	switch {
	case text(kafkaLetter+"topic") != "":
		o.By, o.Topic, o.Group = "kafka", text(kafkaLetter+"topic"), text(kafkaLetter+"group")
		o.Partition, o.Offset = decimal(text(kafkaLetter+"partition"), text(kafkaLetter+"offset"))
		o.Deliveries, o.Why = text(kafkaLetter+"delivery.count"), text(kafkaLetter+"message")
	case text(springLetter+"original-topic") != "":
		o.By, o.Topic, o.Group = "spring", text(springLetter+"original-topic"), text(springLetter+"original-consumer-group")
		if b := first[springLetter+"original-partition"]; len(b) == 4 {
			o.Partition = int32(binary.BigEndian.Uint32(b))
		}
		if b := first[springLetter+"original-offset"]; len(b) == 8 {
			o.Offset = int64(binary.BigEndian.Uint64(b))
		}
		o.Why = text(springLetter+"exception-message", springLetter+"exception-fqcn")
	case text(connectLetter+"topic") != "":
		o.By, o.Topic, o.Group = "connect", text(connectLetter+"topic"), text(connectLetter+"connector.name")
		o.Partition, o.Offset = decimal(text(connectLetter+"partition"), text(connectLetter+"offset"))
		o.Why = text(connectLetter+"exception.message", connectLetter+"exception.class.name")
	default:
		return origin{}, false
	}
	o.Partition, o.Offset = max(-1, o.Partition), max(-1, o.Offset)
	return o, true
}

// decimal reads a partition and an offset; -1 for what is no number.
func decimal(partition, offset string) (int32, int64) {
	p, err := strconv.ParseInt(partition, 10, 32)
	if err != nil {
		p = -1
	}
	at, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		at = -1
	}
	return int32(p), at
}

// withoutLetterHeaders are the headers that the record had before it died. The time of delivery goes too: it is over.
func withoutLetterHeaders(headers []kgo.RecordHeader) (kept []kgo.RecordHeader) {
	for _, h := range headers {
		if h.Key != deliverAtHeader && !strings.HasPrefix(h.Key, kafkaLetter) && !strings.HasPrefix(h.Key, springLetter) && !strings.HasPrefix(h.Key, connectLetter) {
			kept = append(kept, h)
		}
	}
	return kept
}

// place is orders/0@17, as far as it is known.
func (o *origin) place() string {
	s := o.Topic
	if o.Partition >= 0 {
		s += "/" + strconv.Itoa(int(o.Partition))
	}
	if o.Offset >= 0 {
		s += "@" + strconv.FormatInt(o.Offset, 10)
	}
	return s
}
