package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// throttles names all replicas as throttled and lets so many bytes a second be copied.
func (w *world) throttles(rate int64) {
	s := *w.settings
	all := "*"
	layers := config.Layers{Resource: map[string]string{"leader.replication.throttled.replicas": all}}
	s.LeaderThrottled = layers.Topic().LeaderThrottled
	*w.settings = s
	w.rate = rate
	w.fold(&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceBroker}, Name: "leader.replication.throttled.rate", Value: &all})
}

// A follower that is not in sync gets no more than the throttle lets through, by sessions and without; one that is in sync is not held up, and when the throttle
// is taken off the rest comes at once.
func TestThrottledFollowersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		s := w.sessionOf(1)
		w.fill("a", 0, 100, 1000)
		w.throttles(10_000)
		for what, fetch := range map[string]func(by kafka.BrokerID, offset kafka.Offset) FetchResult{
			"a session": func(by kafka.BrokerID, offset kafka.Offset) FetchResult {
				req := follow(by, 100*time.Millisecond)
				s.Put(at(0, offset))
				req.Following = s
				if results := w.Fetch(aPeer, req).Wait(t.Context()); len(results) == 1 {
					return results[0]
				}
				return FetchResult{}
			},
			"no session": func(by kafka.BrokerID, offset kafka.Offset) FetchResult {
				one := at(0, offset)
				return w.followed(follow(by, 100*time.Millisecond, one))
			},
		} {
			pull := func(by kafka.BrokerID, d time.Duration) (bytes int) {
				offset := kafka.Offset(0)
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
					one := fetch(by, offset)
					if one.Err != nil {
						t.Fatalf("%s: %v", what, one.Err)
					}
					if one.Records == nil {
						continue
					}
					bytes += one.Records.Len()
					b, err := one.Records.Bytes()
					if err != nil {
						t.Fatal(err)
					}
					for h := range b.All() {
						offset = h.NextOffset()
					}
					one.Records.Release()
					if offset == 100 {
						break
					}
				}
				return bytes
			}
			if n := pull(2, time.Second); n < 100_000 {
				t.Errorf("%s: a follower that is in sync got %d bytes", what, n)
			}
			time.Sleep(time.Minute)
			begin := time.Now()
			if n := pull(3, time.Second); n < 100_000 {
				t.Errorf("%s: one fetch may overdraw, and got %d bytes", what, n)
			}
			if n := pull(3, 8*time.Second); n != 0 {
				t.Errorf("%s: %d bytes %v after 100,000 came at 10,000 a second", what, n, time.Since(begin))
			}
			if n := pull(3, 10*time.Second); n == 0 {
				t.Errorf("%s: nothing %v later", what, time.Since(begin))
			}
			time.Sleep(time.Minute)
		}
	})
}
