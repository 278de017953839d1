package httpsrv

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/replica"
)

// Groups tells of the groups that this node coordinates.
type Groups interface {
	Groups() GroupsNow
}

// GroupsNow is what there is to say about groups, not older than groupsFor.
type GroupsNow struct {
	Counts  map[GroupKind]int // every group
	Groups  []Group           // by name, at most maxGroups
	Omitted int               // groups that are not in Groups, or only without their partitions
}

// GroupKind is a type of group (classic, consumer, share, streams) and a state, as ListGroups has them.
type GroupKind struct{ Type, State string }

// Group is one group's part in the page.
type Group struct {
	Name    string
	Members int
	Offsets []GroupOffset // by topic and partition
}

// GroupOffset is a committed offset. Lag is -1 unless this node leads the partition and its log is in use; Waiting, the age of the first
// record that is not consumed, is negative if it is not known.
type GroupOffset struct {
	Topic     string
	Partition int32
	Offset    kafka.Offset
	Lag       int64
	Waiting   time.Duration
}

// Limits of what is told about groups (HTP-1).
const (
	groupsFor       = 5 * time.Second        // how long what was gathered is told again
	maxGroups       = 1000                   // with series of their own
	maxGroupOffsets = 5000                   // with series of their own, of all groups together
	maxLookups      = 500                    // records looked at for their age in one gathering
	lookupsFor      = 100 * time.Millisecond // and how long that may take
	lookupBytes     = 64 << 10               // read for one; a larger batch is read whole
	maxTimeScan     = 16 << 20               // decompressed for one
)

// OfGroups reads the coordinator of groups, and for lags the partitions of this node.
func OfGroups(r *broker.GroupRuntime, m *replica.Manager, now func() time.Time) Groups {
	return &groups{runtime: r, replicas: m, now: now}
}

type groups struct {
	runtime  *broker.GroupRuntime
	replicas *replica.Manager
	now      func() time.Time

	// mu guards the rest. It is held while groups are gathered, so that many scrapes at once gather once; locks of the coordinator, of partitions
	// and of logs are taken under it.
	mu    sync.Mutex
	at    time.Time // when last was gathered
	last  GroupsNow
	times map[recordPlace]kafka.Timestamp // of the records looked at for last: most are wanted again
}

type recordPlace struct {
	topic     kafka.UUID
	partition int32
	offset    kafka.Offset
}

// Groups implements Groups.
func (g *groups) Groups() GroupsNow {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.last.Counts == nil || now.Sub(g.at) >= groupsFor || now.Before(g.at) {
		g.last, g.at = g.gather(now), now
	}
	return g.last
}

func (g *groups) gather(now time.Time) GroupsNow {
	n := GroupsNow{Counts: make(map[GroupKind]int)}
	var listed []kmsg.ListGroupsResponseGroup
	// Shards that are not active are left out: what they hold is not known (HTP-2).
	_ = coordinator.Each(g.runtime, func(s *group.Shard, v coordinator.View) {
		listed = append(listed, s.ListGroups(v, &kmsg.ListGroupsRequest{})...)
	})
	slices.SortFunc(listed, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	for _, one := range listed {
		n.Counts[GroupKind{one.GroupType, one.GroupState}]++
	}
	n.Omitted = max(0, len(listed)-maxGroups)
	listed = listed[:min(len(listed), maxGroups)]
	place := make(map[string]int, len(listed))
	for i, one := range listed {
		place[one.Group] = i
		n.Groups = append(n.Groups, Group{Name: one.Group, Members: g.members(one)})
	}
	_ = coordinator.Each(g.runtime, func(s *group.Shard, v coordinator.View) {
		for c := range s.Lags(v) {
			if i, ok := place[c.Group]; ok {
				n.Groups[i].Offsets = append(n.Groups[i].Offsets, GroupOffset{Topic: c.Topic, Partition: c.Partition, Offset: c.Offset})
			}
		}
	})
	left := maxGroupOffsets
	for i := range n.Groups {
		one := &n.Groups[i]
		if len(one.Offsets) > left {
			one.Offsets = nil
			n.Omitted++
			continue
		}
		left -= len(one.Offsets)
		slices.SortFunc(one.Offsets, func(a, b GroupOffset) int {
			if a.Topic != b.Topic {
				return strings.Compare(a.Topic, b.Topic)
			}
			return int(a.Partition - b.Partition)
		})
	}
	g.measure(&n, now)
	return n
}

// members counts those of a group; one that changed its type or went meanwhile has none.
func (g *groups) members(one kmsg.ListGroupsResponseGroup) int {
	n, _ := coordinator.Read(g.runtime, one.Group, func(s *group.Shard, v coordinator.View) int {
		switch one.GroupType {
		case "consumer":
			return len(s.DescribeConsumerGroup(v, one.Group).Members)
		case "share":
			return len(s.DescribeShareGroup(v, one.Group).Members)
		case "streams":
			return len(s.DescribeStreamsGroup(v, one.Group).Members)
		}
		return len(s.DescribeGroup(v, one.Group).Members)
	})
	return n
}

// measure fills in lags, and ages as far as maxLookups and lookupsFor reach; what was looked up before costs nothing again, so with each
// gathering they reach further.
func (g *groups) measure(n *GroupsNow, now time.Time) {
	times := make(map[recordPlace]kafka.Timestamp)
	lookups, until := 0, time.Now().Add(lookupsFor)
	for i := range n.Groups {
		for j := range n.Groups[i].Offsets {
			o := &n.Groups[i].Offsets[j]
			o.Lag, o.Waiting = -1, -1
			t, err := g.replicas.ByName(o.Topic)
			if err != nil {
				continue
			}
			p, err := t.Partition(o.Partition)
			if err != nil || !p.InUse() {
				continue
			}
			// What was deleted is not consumed any more, so it is no lag.
			from, end := max(o.Offset, p.LogStart()), p.HighWatermark()
			if o.Lag = int64(max(0, end-from)); o.Lag == 0 {
				o.Waiting = 0
				continue
			}
			at := recordPlace{t.ID, o.Partition, from}
			ts, known := times[at]
			if !known {
				ts, known = g.times[at]
			}
			if !known && lookups < maxLookups && time.Now().Before(until) {
				lookups++
				ts, known = timeOf(p, from)
			}
			if known {
				times[at] = ts
				o.Waiting = max(0, now.Sub(time.UnixMilli(int64(ts))))
			}
		}
	}
	g.times = times
}

// timeOf is the timestamp of the first record at or after an offset.
func timeOf(p *partition.Partition, from kafka.Offset) (kafka.Timestamp, bool) {
	read, err := p.Read(partition.ReadRequest{From: from, MaxBytes: lookupBytes, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	if err != nil || read.Records == nil {
		return 0, false
	}
	defer read.Records.Release()
	b, err := read.Records.Bytes()
	if err != nil {
		return 0, false
	}
	for h, batch := range record.Batches(b).All() {
		if h.IsControl() {
			continue
		}
		offset, ts, err := record.FindTimestamp(batch, math.MinInt64, from, maxTimeScan)
		if err != nil {
			return h.MaxTimestamp, h.MaxTimestamp >= 0 // too large to be looked into
		}
		if offset != kafka.NoOffset {
			return ts, ts >= 0
		}
	}
	return 0, false
}
