package coordinator

import "math"

// PartitionOf is Kafka's way from a group or a transactional id to a partition of n: the absolute value of Java's String.hashCode.
func PartitionOf(key string, n int32) int32 {
	h := int32(javaHash(key))
	switch {
	case h == math.MinInt32:
		h = 0
	case h < 0:
		h = -h
	}
	return h % n
}

// javaHash is String.hashCode: over UTF-16 code units.
func javaHash(s string) uint32 {
	h := uint32(0)
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			h = 31*h + uint32(0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + uint32(r)
	}
	return h
}
