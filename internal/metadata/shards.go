package metadata

import (
	"maps"

	"github.com/rafka-io/rafka/internal/kafka"
)

// shardCount makes a change to one of 10,000 entries copy some 40 of them and an array of 2 KB. A plain map copied as a whole costs
// half a millisecond for each change at that size; a tree of hashes would copy less still and read slower on every request.
const shardCount = 256

// shards is a map whose copy is cheap: clones share the shards until one of them changes a shard, which copies that shard only.
// Readers never see a shard change, because put and remove are called only on a clone that nobody else has yet.
type shards[K comparable, V any] struct {
	parts *[shardCount]map[K]V // nil: empty; neither it nor a map in it is written to unless owned says so
	owned *[shardCount]bool    // of this clone alone; nil on what has been published
	size  int
}

func (s *shards[K, V]) get(shard uint8, k K) V {
	if s.parts == nil {
		var none V
		return none
	}
	return s.parts[shard][k]
}

func (s *shards[K, V]) each(yield func(V) bool) {
	if s.parts == nil {
		return
	}
	for _, part := range s.parts {
		for _, v := range part {
			if !yield(v) {
				return
			}
		}
	}
}

// clone shares every shard with s. The array itself is copied at the first change.
func (s *shards[K, V]) clone() shards[K, V] { return shards[K, V]{parts: s.parts, size: s.size} }

// seal ends the time in which s may be written to: a later put copies again.
func (s *shards[K, V]) seal() { s.owned = nil }

func (s *shards[K, V]) own(shard uint8) map[K]V {
	if s.owned == nil {
		parts := new([shardCount]map[K]V)
		if s.parts != nil {
			*parts = *s.parts
		}
		s.parts, s.owned = parts, new([shardCount]bool)
	}
	if !s.owned[shard] {
		s.owned[shard] = true
		if s.parts[shard] = maps.Clone(s.parts[shard]); s.parts[shard] == nil {
			s.parts[shard] = make(map[K]V, 1)
		}
	}
	return s.parts[shard]
}

func (s *shards[K, V]) put(shard uint8, k K, v V) {
	m := s.own(shard)
	before := len(m)
	m[k] = v
	s.size += len(m) - before
}

func (s *shards[K, V]) remove(shard uint8, k K) {
	m := s.own(shard)
	before := len(m)
	delete(m, k)
	s.size += len(m) - before
}

// nameShard is FNV-1a folded to eight bits: the same on every node and in every run, as everything pure code does.
func nameShard(name string) uint8 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return uint8(h ^ h>>8 ^ h>>16 ^ h>>24)
}

// idShard relies on ids being random.
func idShard(id kafka.UUID) uint8 { return id[0] ^ id[7] ^ id[15] }
