package broker

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// errNoFollower refuses whoever claims to be a follower and did not come by the peer port (REP-4): a consumer that poses as one must not read
// beyond the high watermark (CVE-2018-1288), nor make the leader believe that its records are on another disk.
var errNoFollower = kafka.Errorf(kafka.NotLeaderOrFollower, "only brokers of the cluster may name a replica id, and only by the peer port: leave it at -1")

// mayFollow reports why the asker cannot be counted as a replica (REP-4): nil if it is a broker that is alive in the registration that it names. A
// broker that has just registered is refused until this node's metadata has it too; it tries again.
func (b *Broker) mayFollow(s *Session, id kafka.BrokerID, epoch int64) error {
	if s == nil || !s.Peer {
		return errNoFollower
	}
	switch known := b.Image().Brokers[id]; {
	case known == nil:
		return kafka.Errorf(kafka.NotLeaderOrFollower, "broker %d is not registered, as far as is known here", id)
	case epoch >= 0 && epoch != known.Epoch:
		return kafka.Errorf(kafka.NotLeaderOrFollower, "broker %d has epoch %d here, not %d", id, known.Epoch, epoch)
	case known.Fenced:
		return kafka.Errorf(kafka.NotLeaderOrFollower, "broker %d is fenced, as far as is known here", id)
	}
	b.opts.Replicas.Heard(id)
	return nil
}

// firstLook is after what time a follower that waits for records is told that the high watermark has risen. It learns that with the next
// records anyhow; but when none come it would serve its own consumers (KIP-392) from below it, and begin there if it had to lead. Each look
// after the first takes twice as long, so that a replica that is down costs the others little.
const firstLook = 10 * time.Millisecond

// patience is how long to wait before looking whether the high watermark has risen, at most as long as may be waited at all.
func (a *fetchAwait) patience(most time.Duration) time.Duration {
	if a.req.ReplicaID < 0 {
		return most
	}
	for i := range a.req.Partitions {
		if at := &a.req.Partitions[i]; at.KnownHW != kafka.NoOffset && at.KnownHW < at.Offset && a.slots[i].err == nil {
			return min(firstLook, most) // it has records that are not committed as far as it knows
		}
	}
	return most
}

// watermarkRose reports whether there is a high watermark to tell that the follower does not know.
func (a *fetchAwait) watermarkRose(results []FetchResult) bool {
	for i := range results {
		if known := a.req.Partitions[i].KnownHW; known != kafka.NoOffset && results[i].HighWatermark > known {
			return true
		}
	}
	return false
}
