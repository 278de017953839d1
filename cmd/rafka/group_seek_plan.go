package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// seekMove is one partition's move.
type seekMove struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Old       *int64 `json:"old_offset"`
	New       int64  `json:"new_offset"`
	Note      string `json:"note,omitempty"`
	Error     string `json:"error,omitempty"`
}

// scopeTopic is a --topic: a topic, or some partitions of it.
type scopeTopic struct {
	topic      string
	partitions []int32 // nil: all
}

// parseScope reads TOPIC and TOPIC:0,2. A topic's name holds no colon.
func parseScope(flags []string) ([]scopeTopic, error) {
	var scope []scopeTopic
	for _, s := range flags {
		topic, list, some := strings.Cut(s, ":")
		one := scopeTopic{topic: topic}
		if topic == "" || some && list == "" {
			return nil, usagef("--topic %q: want TOPIC or TOPIC:0,2", s)
		}
		for _, p := range strings.Split(list, ",") {
			if !some {
				break
			}
			n, err := strconv.ParseInt(p, 10, 32)
			if err != nil || n < 0 {
				return nil, usagef("--topic %q: %q is no partition", s, p)
			}
			one.partitions = append(one.partitions, int32(n))
		}
		scope = append(scope, one)
	}
	return scope, nil
}

// planSeek says for each partition concerned where it goes; sorted by topic and partition.
func planSeek(ctx context.Context, adm *admin, v *groupView, target seekTarget, scope []scopeTopic) ([]seekMove, error) {
	old := make(map[topicPartition]*int64)
	for _, o := range v.Offsets {
		old[topicPartition{o.Topic, o.Partition}] = o.Committed
	}
	if len(scope) == 0 {
		scope = wholeScope(old, target)
	}
	if len(scope) == 0 {
		return nil, fmt.Errorf("group %q has no offsets: name the topics with --topic", v.Group)
	}
	var bounds []offsetspec.Bound
	if target.kind == seekTime {
		bounds = append(bounds, offsetspec.Bound{Kind: offsetspec.Time, N: target.n})
	}
	var moves []seekMove
	seen := make(map[topicPartition]bool)
	for _, s := range scope {
		logs, err := loadLogs(ctx, adm, []string{s.topic}, s.partitions, kgo.ReadUncommitted(), bounds...)
		if err != nil {
			return nil, err
		}
		for _, l := range logs {
			tp := topicPartition{l.topic, l.partition}
			if seen[tp] {
				continue
			}
			seen[tp] = true
			if to, note, ok := target.offset(old[tp], l); ok {
				moves = append(moves, seekMove{Topic: tp.topic, Partition: tp.partition, Old: old[tp], New: to, Note: note})
			}
		}
	}
	if len(moves) == 0 {
		return nil, fmt.Errorf("group %q has no offset in what is named: there is nothing to move from", v.Group)
	}
	slices.SortFunc(moves, func(a, b seekMove) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return moves, nil
}

// wholeScope is what is meant without --topic: what the file names, or every topic that the group has offsets for.
func wholeScope(old map[topicPartition]*int64, target seekTarget) (scope []scopeTopic) {
	byTopic := make(map[string][]int32)
	for tp := range target.file {
		byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
	}
	if target.kind != seekFile {
		for tp, at := range old {
			if at != nil {
				byTopic[tp.topic] = nil
			}
		}
	}
	for topic, partitions := range byTopic {
		scope = append(scope, scopeTopic{topic, partitions})
	}
	return scope
}

// offset is where a partition goes. It is not ok if the target says nothing of the partition.
func (t *seekTarget) offset(old *int64, l partitionLog) (to int64, note string, ok bool) {
	switch t.kind {
	case seekEarliest:
		to = l.start
	case seekLatest:
		to = l.end
	case seekTime:
		to = l.times[t.n]
	case seekOffset:
		to = t.n
	case seekFile:
		if to, ok = t.file[topicPartition{l.topic, l.partition}]; !ok {
			return 0, "", false
		}
	case seekCurrent, seekShift:
		if old == nil {
			return 0, "", false
		}
		if to = *old; t.kind == seekShift {
			to = addSaturating(to, t.n)
		}
	}
	if within := min(max(to, l.start), l.end); within != to && t.kind != seekCurrent {
		return within, fmt.Sprintf("%d is outside the log, which is %d to %d", to, l.start, l.end), true
	}
	return to, "", true
}

// addSaturating is a+b for a ≥ 0, or the nearest number there is.
func addSaturating(a, b int64) int64 {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}
