package broker

import (
	"sync"
	"sync/atomic"
)

// Partitioner chooses one of n partitions (n > 0) for a key. Equal keys get equal partitions as long as n stays the same.
type Partitioner func(key []byte, n int32) int32

// ByMurmur2 is what Kafka's clients do, so that a key lands in the same partition through every door.
func ByMurmur2(key []byte, n int32) int32 { return int32(murmur2(key)&0x7fffffff) % n }

// BySum is what the first Rafka did: the sum of the key's bytes, wrapping at 2^32.
func BySum(key []byte, n int32) int32 {
	var sum uint32
	for _, b := range key {
		sum += uint32(b)
	}
	return int32(sum % uint32(n))
}

// murmur2 is Austin Appleby's public-domain hash, 32 bits, with the seed that Kafka's clients use.
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := uint32(seed) ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		h = h*m ^ k*m
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// maxTurns bounds how many topics a turns remembers.
const maxTurns = 4096

// turns gives the partitions of each topic their turn, for records without a key. One counter for all topics would not do: a producer
// that alternates between two topics of two partitions would use only one partition of each.
type turns struct {
	mu      sync.RWMutex // guards the map, not the counters in it
	byTopic map[string]*atomic.Uint32
}

// next is the partition whose turn it is. A topic that was forgotten for want of room starts over at partition 0.
func (t *turns) next(topic string, n int32) int32 {
	t.mu.RLock()
	counter := t.byTopic[topic]
	t.mu.RUnlock()
	if counter == nil {
		counter = t.add(topic)
	}
	return int32((counter.Add(1) - 1) % uint32(n))
}

func (t *turns) add(topic string) *atomic.Uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if counter := t.byTopic[topic]; counter != nil {
		return counter
	}
	if t.byTopic == nil || len(t.byTopic) >= maxTurns {
		t.byTopic = make(map[string]*atomic.Uint32)
	}
	counter := new(atomic.Uint32)
	t.byTopic[topic] = counter
	return counter
}
