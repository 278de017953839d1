package compact

import (
	"hash/maphash"

	"github.com/rafka-io/rafka/internal/kafka"
)

// keyMap maps keys to their latest offset, in a fixed amount of memory: open addressing, 16 bytes of hash and 8 of offset per key.
//
// Keys are taken for equal if both of two independent hashes are. The hashes are seeded per process, so nobody can make keys that collide
// and so have another's record removed.
type keyMap struct {
	slots []slot
	n     int
	most  int // n at which it is full
}

type slot struct {
	hash   [2]uint64
	offset kafka.Offset // +1, so that 0 means empty
}

const slotBytes = 24

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// newKeyMap makes a map of at most the given bytes, and of at most twice the slots that keys need.
func newKeyMap(bytes int64, keys int64) *keyMap {
	n := max(min(bytes/slotBytes, keys+keys/2+16), 16)
	return &keyMap{slots: make([]slot, n), most: max(int(n*3/4), 1)}
}

func hashKey(key []byte) [2]uint64 {
	return [2]uint64{maphash.Bytes(seeds[0], key), maphash.Bytes(seeds[1], key)}
}

// find is the slot of a key, or the empty one where it belongs.
func (m *keyMap) find(key []byte) (*slot, [2]uint64) {
	h := hashKey(key)
	for i := h[0] % uint64(len(m.slots)); ; i++ {
		if i == uint64(len(m.slots)) {
			i = 0
		}
		if s := &m.slots[i]; s.offset == 0 || s.hash == h {
			return s, h
		}
	}
}

// put notes the offset for the key. It returns false, and notes nothing, if the key is new and the map full.
func (m *keyMap) put(key []byte, at kafka.Offset) bool {
	s, h := m.find(key)
	if s.offset == 0 {
		if m.n == m.most {
			return false
		}
		m.n++
		s.hash = h
	}
	s.offset = max(s.offset, at+1)
	return true
}

// latest is the offset noted for the key, NoOffset if there is none.
func (m *keyMap) latest(key []byte) kafka.Offset {
	s, _ := m.find(key)
	return s.offset - 1
}

func (m *keyMap) reset() {
	clear(m.slots)
	m.n = 0
}
