package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// groupOffset is where a group is in one partition. What is not known is nil.
type groupOffset struct {
	Topic      string   `json:"topic"`
	Partition  int32    `json:"partition"`
	Committed  *int64   `json:"committed_offset"` // of a share group: where the first record lies that is not done with
	Start      *int64   `json:"log_start"`
	End        *int64   `json:"log_end"`
	Lag        *int64   `json:"lag"`         // records
	LagSeconds *float64 `json:"lag_seconds"` // age of the oldest record that is not consumed; 0 if all are
	Member     string   `json:"member_id,omitempty"`
	Instance   string   `json:"instance_id,omitempty"`
	ClientID   string   `json:"client_id,omitempty"`
	Host       string   `json:"host,omitempty"`
	Metadata   string   `json:"metadata,omitempty"` // as it was committed
	Error      string   `json:"error,omitempty"`
}

// parallelAges bounds the fetches for lag in seconds that are under way, and agesWithin how long all of them may take: a lag without
// seconds is better than none.
const (
	parallelAges = 16
	agesWithin   = 5 * time.Second
)

// loadOffsets fills in the offsets of the group: of every partition that it committed for or that a member has.
func loadOffsets(ctx context.Context, adm *admin, v *groupView, now time.Time) error {
	known, err := committedOffsets(ctx, adm, v)
	if err != nil {
		return fmt.Errorf("offsets of group %q: %w", v.Group, explain(err))
	}
	v.assigned().Each(func(topic string, partition int32) {
		if _, ok := known[topicPartition{topic, partition}]; !ok {
			known[topicPartition{topic, partition}] = groupOffset{Topic: topic, Partition: partition}
		}
	})
	v.Offsets = make([]groupOffset, 0, len(known))
	for _, o := range known {
		if m := v.owner(o.Topic, o.Partition); m != nil {
			o.Member, o.Instance, o.ClientID, o.Host = m.ID, m.Instance, m.ClientID, m.Host
		}
		v.Offsets = append(v.Offsets, o)
	}
	slices.SortFunc(v.Offsets, func(a, b groupOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	if len(v.Offsets) == 0 {
		return nil
	}
	addLogs(ctx, adm, v)
	addAges(ctx, adm, v, now)
	v.Lag, v.LagSeconds = 0, nil
	for i := range v.Offsets {
		o := &v.Offsets[i]
		if o.Lag != nil {
			v.Lag += *o.Lag
		}
		if o.LagSeconds != nil && (v.LagSeconds == nil || *o.LagSeconds > *v.LagSeconds) {
			v.LagSeconds = o.LagSeconds
		}
	}
	return nil
}

// committedOffsets asks the coordinator how far the group is. Share groups commit nothing; they have a start of what is in flight.
func committedOffsets(ctx context.Context, adm *admin, v *groupView) (map[topicPartition]groupOffset, error) {
	known := make(map[topicPartition]groupOffset)
	if v.Type == shareGroup {
		all, err := adm.DescribeShareGroupOffsets(ctx, v.Group)
		if err != nil {
			return nil, err
		}
		if err := all[v.Group].Err; err != nil {
			return nil, err
		}
		all[v.Group].Offsets.Each(func(s kadm.ShareOffset) {
			o := groupOffset{Topic: s.Topic, Partition: s.Partition, Error: describedText(s.Err, "")}
			if s.Err == nil && s.StartOffset >= 0 {
				o.Committed = &s.StartOffset
			}
			if s.Err == nil && s.Lag >= 0 {
				o.Lag = &s.Lag
			}
			known[topicPartition{s.Topic, s.Partition}] = o
		})
		return known, nil
	}
	all, err := adm.FetchOffsets(ctx, v.Group)
	if err != nil {
		return nil, err
	}
	all.Each(func(r kadm.OffsetResponse) {
		o := groupOffset{Topic: r.Topic, Partition: r.Partition, Metadata: r.Metadata, Error: describedText(r.Err, "")}
		if r.Err == nil && r.At >= 0 {
			o.Committed = &r.At
		}
		known[topicPartition{r.Topic, r.Partition}] = o
	})
	return known, nil
}

// topics are those with an offset, sorted.
func (v *groupView) topics() []string {
	var names []string
	for _, o := range v.Offsets {
		names = append(names, o.Topic)
	}
	return slices.Compact(names)
}

// addLogs fills in the extents of the logs and the lags. A partition that cannot tell has an error beside it.
func addLogs(ctx context.Context, adm *admin, v *groupView) {
	topics := v.topics()
	starts, startErr := adm.ListStartOffsets(ctx, topics...)
	ends, endErr := adm.ListEndOffsets(ctx, topics...)
	for i := range v.Offsets {
		o := &v.Offsets[i]
		start, hasStart := starts.Lookup(o.Topic, o.Partition)
		end, hasEnd := ends.Lookup(o.Topic, o.Partition)
		switch {
		case o.Error != "":
		case hasStart && hasEnd && start.Err == nil && end.Err == nil:
			o.Start, o.End = &start.Offset, &end.Offset
			if o.Committed != nil && o.Lag == nil {
				// What was deleted is not consumed any more, so it is no lag.
				lag := max(0, end.Offset-max(*o.Committed, start.Offset))
				o.Lag = &lag
			}
		case start.Err != nil || end.Err != nil:
			o.Error = cmp.Or(describedText(start.Err, ""), describedText(end.Err, ""))
		case startErr != nil || endErr != nil:
			o.Error = "offsets unknown: " + cmp.Or(describedText(startErr, ""), describedText(endErr, ""))
		default:
			o.Error = "the topic has no such partition (any more)"
		}
	}
}

// addAges reads the first record behind each committed offset, which tells since when it waits.
func addAges(ctx context.Context, adm *admin, v *groupView, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, agesWithin)
	defer cancel()
	places, err := locate(ctx, adm, v.topics())
	if err != nil {
		return
	}
	tokens := make(chan struct{}, parallelAges)
	var fetches sync.WaitGroup
	for i := range v.Offsets {
		o := &v.Offsets[i]
		if o.Lag == nil || o.Committed == nil || o.End == nil {
			continue
		}
		if *o.Lag == 0 {
			o.LagSeconds = new(float64)
			continue
		}
		fetches.Go(func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			r, err := places.firstRecord(ctx, adm, o.Topic, o.Partition, max(*o.Committed, *o.Start))
			if err == nil && r != nil && r.Timestamp.UnixMilli() >= 0 {
				age := max(0, now.Sub(r.Timestamp)).Seconds()
				o.LagSeconds = &age
			}
		})
	}
	fetches.Wait()
}
