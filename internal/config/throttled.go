package config

import (
	"strconv"
	"strings"
)

// ThrottledReplicas is leader.replication.throttled.replicas, or the follower's, of a topic. The zero value is none.
type ThrottledReplicas struct {
	all  bool
	some *throttledSet // nil: none
}

type throttledSet map[throttledReplica]struct{}

type throttledReplica struct{ partition, broker int32 }

// Has reports whether a partition's replica on a broker is one of them.
func (t ThrottledReplicas) Has(partition, broker int32) bool {
	if t.all {
		return true
	}
	if t.some == nil {
		return false
	}
	_, named := (*t.some)[throttledReplica{partition, broker}]
	return named
}

// throttledReplicas reads a value that was checked before; what does not fit into numbers names no replica.
func throttledReplicas(value string) (t ThrottledReplicas) {
	if value == "*" {
		return ThrottledReplicas{all: true}
	}
	for _, e := range splitList(value) {
		p, b, _ := strings.Cut(e, ":")
		partition, err := strconv.ParseInt(p, 10, 32)
		broker, bad := strconv.ParseInt(b, 10, 32)
		if err != nil || bad != nil {
			continue
		}
		if t.some == nil {
			t.some = &throttledSet{}
		}
		(*t.some)[throttledReplica{int32(partition), int32(broker)}] = struct{}{}
	}
	return t
}
