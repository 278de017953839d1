package kafka

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
)

// Offset is the position of a record in its partition, from 0.
type Offset int64

// Offsets with a meaning of their own, as ListOffsets names them (KIP-734, KIP-405, KIP-1005).
const (
	NoOffset Offset = -1
)

// LeaderEpoch counts the leaders of a partition; it rises by one at each change. -1: unknown.
type LeaderEpoch int32

// NoEpoch means that no leader epoch is known.
const NoEpoch LeaderEpoch = -1

// ProducerID names an idempotent producer. -1: none.
type ProducerID int64

// NoProducer is the producer id of a batch whose producer is not idempotent.
const NoProducer ProducerID = -1

// ProducerEpoch fences older instances of one ProducerID. -1: none.
type ProducerEpoch int16

// Sequence numbers the records of one producer in one partition; it wraps from 2^31-1 to 0.
type Sequence int32

// NoSequence is the sequence of a batch whose producer is not idempotent.
const NoSequence Sequence = -1

// Add returns the sequence n records later, wrapping from 2^31-1 to 0 as Kafka does. n >= 0.
func (s Sequence) Add(n int32) Sequence {
	if int64(s)+int64(n) > math.MaxInt32 {
		return Sequence(int64(s) + int64(n) - math.MaxInt32 - 1)
	}
	return s + Sequence(n)
}

// Timestamp is a wall-clock time in milliseconds since 1970 UTC. -1: none.
type Timestamp int64

// NoTimestamp means that no time is known.
const NoTimestamp Timestamp = -1

// BrokerID names a broker (node.id).
type BrokerID int32

// NoBroker means that no broker is known, such as a partition without a leader.
const NoBroker BrokerID = -1

// TopicPartition names a partition by its topic's name.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is topic-partition, as Kafka's directories are named.
func (tp TopicPartition) String() string { return tp.Topic + "-" + strconv.Itoa(int(tp.Partition)) }

// UUID is a topic id, directory id or cluster id; printed as Kafka prints it: URL-safe base64 without padding.
type UUID [16]byte

// NewUUID returns a random id, never one of Kafka's reserved ones (zero, one) nor one whose text begins with '-'.
func NewUUID() UUID {
	for {
		var u UUID
		if _, err := rand.Read(u[:]); err != nil {
			panic(err) // crypto/rand never fails on the systems we build for
		}
		if u.IsZero() || u == (UUID{15: 1}) || u.String()[0] == '-' {
			continue
		}
		return u
	}
}

// IsZero reports whether u is the id that means "none".
func (u UUID) IsZero() bool { return u == UUID{} }

// String is u in URL-safe base64 without padding, 22 characters.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// ParseUUID reads what String wrote.
func ParseUUID(s string) (UUID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 16 {
		return UUID{}, fmt.Errorf("%q is no id of 22 base64 characters", s)
	}
	return UUID(b), nil
}

// MarshalText and UnmarshalText make a UUID a string in JSON.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (u *UUID) UnmarshalText(b []byte) (err error) {
	*u, err = ParseUUID(string(b))
	return err
}
