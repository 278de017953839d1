package replica

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// Retention is the leader's to decide: followers remove what it has removed, when it has, and roll segments by themselves.
func TestFollowersForgetWithTheLeader(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		one, two := c.nodes[1], c.nodes[2]
		for range 3 {
			c.acked(one.produce(one.find(1, 0), "a", "b"))
		}
		for _, n := range c.nodes {
			s := *n.find(1, 0).Settings()
			s.RetentionTime = 10 * time.Minute
			n.find(1, 0).Configure(&s)
		}
		time.Sleep(10*time.Minute + time.Second)
		if err := two.find(1, 0).Retain(context.Background(), time.Now()); err != nil || two.find(1, 0).LogStart() != 0 {
			t.Errorf("the follower's log starts at %d: %v", two.find(1, 0).LogStart(), err)
		}
		time.Sleep(10 * time.Minute)
		c.acked(one.produce(one.find(1, 0), "c"))
		calm()
		c.same(1, 0)
		if start := two.find(1, 0).LogStart(); start != 6 {
			t.Errorf("log start %d", start)
		}
	})
}

// Followers compact their logs as the leader does, and go on appending meanwhile; the latest value of each key is everywhere.
func TestFollowersCompact(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("compacted", 1, partitions(1, everywhere())))
		one := c.nodes[1]
		for i := range 200 {
			c.acked(one.produce(one.find(1, 0), strconv.Itoa(i)))
			time.Sleep(100 * time.Millisecond)
		}
		calm()
		for id, n := range c.nodes {
			got := valuesOf(t, n.contents(n.find(1, 0)))
			if len(got) > 50 || got[len(got)-1] != "199" {
				t.Errorf("node %d has %d of 200 records: %q", id, len(got), got)
			}
		}
		c.lead(1, 0, 2)
		c.catchUp()
		c.acked(c.nodes[2].produce(c.nodes[2].find(1, 0), "last"))
	})
}

// PAR-8: a delayed record is released once, by whoever leads when its time has come, and by nobody else.
func TestDelayedRecordsAreReleasedByTheNewLeader(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("later", 1, partitions(1, everywhere())))
		seen := func(n *node) (count int) {
			read, err := n.find(1, 0).Read(partition.ReadRequest{MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, FromFollower: true})
			if err != nil {
				t.Fatal(err)
			}
			if read.Records == nil {
				return 0
			}
			defer read.Records.Release()
			b, _ := read.Records.Bytes()
			for h := range b.All() {
				if !h.IsControl() {
					count += int(h.Records)
				}
			}
			return count
		}
		one := c.nodes[1]
		for i := range 3 {
			delay := record.RecordHeader{Key: record.DelayMs, Value: strconv.AppendInt(nil, int64(1+i)*60_000, 10)}
			c.acked(one.produceRecords(one.find(1, 0), []record.Record{{Value: []byte("v"), Timestamp: kafka.Timestamp(time.Now().UnixMilli()), Headers: []record.RecordHeader{delay}}}))
		}
		time.Sleep(62 * time.Second)
		c.lead(1, 0, 2)
		c.catchUp()
		time.Sleep(time.Minute)
		c.lead(1, 0, 3)
		c.catchUp()
		time.Sleep(time.Minute)
		for id, n := range c.nodes {
			if got := seen(n); got != 3 {
				t.Errorf("node %d: %d records are seen, want 3", id, got)
			}
		}
		c.same(1, 0)
	})
}
