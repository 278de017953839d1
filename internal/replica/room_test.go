package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// A directory has room again only after a while of it, and what is full for a moment is told to nobody.
func TestRoomIsBelievedLate(t *testing.T) {
	begin := time.Unix(1, 0)
	var r dirRoom
	for i, step := range []struct {
		at            time.Duration
		full          bool
		cramped, late bool
	}{
		{0, false, false, false},
		{500 * time.Millisecond, true, true, false},
		{time.Second, false, true, false},
		{2 * time.Second, true, true, false},
		{2900 * time.Millisecond, true, true, false},
		{3 * time.Second, true, true, true},
		{10 * time.Second, false, true, false},
		{12900 * time.Millisecond, false, true, false},
		{13 * time.Second, false, false, false},
	} {
		now := begin.Add(step.at)
		if r.look(step.full, now); r.cramped != step.cramped || r.late(now) != step.late {
			t.Errorf("step %d: cramped %v, late %v", i, r.cramped, r.late(now))
		}
	}
}

// A broker whose disk is full leads nothing that others can lead, and nobody waits for it. It does not come back among those in sync before it has room, also
// where nothing is written, and then has all it missed and may lead (REP-3).
func TestBrokerWithoutRoomStepsOutUntilItHasSome(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		following := metadata.Partition{Replicas: []kafka.BrokerID{2, 1, 3}, ISR: []kafka.BrokerID{2, 1, 3}, Leader: 2}
		alone := metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}
		c.do(topic("a", 1, partitions(1, everywhere())), topic("b", 2, partitions(1, following)), topic("c", 3, partitions(1, alone)))
		for id := byte(1); id <= 2; id++ {
			leader := c.nodes[c.state(id, 0).Leader]
			c.acked(leader.produce(leader.find(id, 0), "before"))
		}
		calm()
		c.nodes[1].engine.fill(true)
		time.Sleep(3 * time.Second)
		for id := byte(1); id <= 2; id++ {
			if s := c.state(id, 0); s.Leader != 2 || slices.Contains(s.ISR, 1) || len(s.ISR) != 2 {
				t.Fatalf("topic %d: %+v", id, s)
			}
		}
		if s := c.state(3, 0); s.Leader != 1 {
			t.Errorf("nobody else has it: %+v", s)
		}
		calm()
		begin := time.Now()
		for id := byte(1); id <= 2; id++ {
			for i := range 5 {
				c.acked(c.nodes[2].produce(c.nodes[2].find(id, 0), fmt.Sprint("v", i)))
			}
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("ten records took %v without the one that is full", took)
		}
		calm()
		c.mu.Lock()
		steps := c.steps
		c.mu.Unlock()
		if s := c.state(2, 0); slices.Contains(s.ISR, 1) || steps != 1 {
			t.Errorf("the controller was told %d times: %+v", steps, s)
		}
		if f := c.nodes[1].manager().Counts().Following; f.Failed != 2 {
			t.Errorf("%+v", f)
		}
		c.nodes[1].engine.fill(false)
		time.Sleep(2 * time.Second)
		if s := c.state(1, 0); slices.Contains(s.ISR, 1) {
			t.Errorf("it is in sync after two seconds of room: %+v", s)
		}
		calm()
		for id := byte(1); id <= 2; id++ {
			if s := c.state(id, 0); len(s.ISR) != 3 {
				t.Fatalf("topic %d: %+v", id, s)
			}
			c.same(id, 0)
		}
		c.lead(1, 0, 1)
		c.catchUp()
		c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "after"))
	})
}
