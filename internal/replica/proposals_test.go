package replica

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// isr is how many replicas the controller knows to be in sync.
func (c *cluster) isr(id byte, i int32) int { return len(c.state(id, i).ISR) }

// asked is how often the controller was asked.
func (c *cluster) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// A follower that catches up is in sync at once, without waiting for the next look at all; one that is gone is out after MaxLag, in one request for
// all partitions.
func TestReplicasInSyncFollowWhatHappens(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(50, everywhere())))
		calm()
		c.nodes[3].stop()
		for i := range int32(50) {
			c.nodes[1].produce(c.nodes[1].find(1, i), "v")
		}
		calls := c.asked()
		time.Sleep(6 * time.Second)
		if n := c.isr(1, 0); n != 3 {
			t.Errorf("%d in sync too early", n)
		}
		time.Sleep(12 * time.Second)
		for i := range int32(50) {
			if n := c.isr(1, i); n != 2 {
				t.Errorf("partition %d: %d in sync", i, n)
			}
		}
		if n := c.asked() - calls; n > 3 {
			t.Errorf("the controller was asked %d times for what happened to 50 partitions together", n)
		}
		c.nodes[3].start()
		c.nodes[3].catchUp()
		time.Sleep(100 * time.Millisecond)
		for i := range int32(50) {
			if n := c.isr(1, i); n != 3 {
				t.Errorf("partition %d: %d in sync after its return", i, n)
			}
		}
	})
}

// ISR-4: a proposal whose outcome is not known is asked again as it was until the controller has decided; one that was refused is looked at again.
func TestProposalsAreAskedUntilTheyAreDecided(t *testing.T) {
	for _, code := range []kafka.ErrorCode{kafka.RequestTimedOut, kafka.NetworkException, kafka.NotController, kafka.InvalidUpdateVersion, kafka.IneligibleReplica} {
		for _, done := range []bool{false, true} {
			if done && code == kafka.IneligibleReplica {
				continue
			}
			inCluster(t, 3, func(c *cluster) {
				c.do(topic("a", 1, partitions(2, everywhere())))
				c.nodes[3].stop()
				for i := range int32(2) {
					c.nodes[1].produce(c.nodes[1].find(1, i), "v")
				}
				calm()
				if n := c.isr(1, 0); n != 2 {
					t.Fatalf("%d in sync", n)
				}
				asked := 0
				c.mu.Lock()
				c.alterFault = func() (error, bool) {
					if asked++; asked <= 6 {
						return code, done
					}
					return nil, true
				}
				c.mu.Unlock()
				c.nodes[3].start()
				c.nodes[3].catchUp()
				time.Sleep(20 * time.Second)
				for i := range int32(2) {
					if n := c.isr(1, i); n != 3 {
						t.Errorf("%v, done %v: %d in sync", code, done, n)
					}
				}
				c.acked(c.nodes[1].produce(c.nodes[1].find(1, 0), "v"))
			})
		}
	}
}

// ISR-4: a controller that cannot be had is not asked all the time.
func TestAbsentControllerIsAskedSeldom(t *testing.T) {
	inCluster(t, 3, func(c *cluster) {
		c.do(topic("a", 1, partitions(1, everywhere())))
		n := 0
		c.mu.Lock()
		c.alterFault = func() (error, bool) { n++; return kafka.BrokerNotAvailable, false }
		c.mu.Unlock()
		c.nodes[2].stop()
		for range 300 { // by each fetch of the other follower the partition tells that it has something to propose
			c.nodes[1].produce(c.nodes[1].find(1, 0), "v")
			time.Sleep(100 * time.Millisecond)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if n < 5 || n > 50 {
			t.Errorf("asked %d times in %v", n, 30*time.Second)
		}
	})
}
