package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// groupView is all there is to say about a group, whatever its type.
type groupView struct {
	Group           string        `json:"group"`
	Type            groupType     `json:"type"`
	State           string        `json:"state"`
	Coordinator     int32         `json:"coordinator"`
	ProtocolType    string        `json:"protocol_type,omitempty"`
	Assignor        string        `json:"assignor,omitempty"`
	Epoch           *int32        `json:"epoch,omitempty"`            // what the members are to reach
	AssignmentEpoch *int32        `json:"assignment_epoch,omitempty"` // of the target assignment
	Members         []memberView  `json:"members"`
	Lag             int64         `json:"lag"`                   // records, of all partitions whose lag is known
	LagSeconds      *float64      `json:"lag_seconds,omitempty"` // the longest of all partitions
	Offsets         []groupOffset `json:"offsets"`
}

// memberView is one member.
type memberView struct {
	ID         string            `json:"member_id"`
	Instance   string            `json:"instance_id,omitempty"`
	ClientID   string            `json:"client_id"`
	Host       string            `json:"host"`
	Rack       string            `json:"rack,omitempty"`
	Protocol   string            `json:"protocol,omitempty"` // classic or consumer, in a group that may have both
	Epoch      *int32            `json:"epoch,omitempty"`
	Subscribed []string          `json:"subscribed,omitempty"`
	Pattern    string            `json:"subscribed_pattern,omitempty"`
	Assigned   assignedView      `json:"assigned"`
	Target     assignedView      `json:"target,omitempty"` // nil where the protocol has none
	Tasks      map[string]string `json:"tasks,omitempty"`  // of a streams member: active, standby, warm-up
}

// assignedView is partitions by topic. (For streams: by subtopology, of active tasks.)
type assignedView map[string][]int32

func viewAssigned(s kadm.TopicsSet) assignedView {
	v := make(assignedView)
	for _, t := range s.Sorted() {
		v[t.Topic] = t.Partitions
	}
	return v
}

func (v assignedView) has(topic string, partition int32) bool {
	return slices.Contains(v[topic], partition)
}

// count is how many partitions there are.
func (v assignedView) count() (n int) {
	for _, partitions := range v {
		n += len(partitions)
	}
	return n
}

// String is orders[0-2,5] payments[1], or - for nothing.
func (v assignedView) String() string {
	var parts []string
	for _, topic := range slices.Sorted(maps.Keys(v)) {
		if len(v[topic]) > 0 {
			parts = append(parts, topic+"["+ranges(v[topic])+"]")
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, " ")
}

// ranges writes numbers in order, runs of them as first-last.
func ranges(numbers []int32) string {
	sorted := slices.Sorted(slices.Values(numbers))
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		switch part := strconv.Itoa(int(sorted[i])); {
		case j == i:
			parts = append(parts, part)
		default:
			parts = append(parts, fmt.Sprintf("%s-%d", part, sorted[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// owner is the member that a partition is assigned to; nil if none is. In share groups several may have it; the first is meant.
func (v *groupView) owner(topic string, partition int32) *memberView {
	for i := range v.Members {
		if v.Members[i].Assigned.has(topic, partition) {
			return &v.Members[i]
		}
	}
	return nil
}
