package loop

import (
	"fmt"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// What partitions have to do is known when every broker that serves has told lately; each partition counts as its present leader says.
func TestLoadsAreThoseOfAllWhoServe(t *testing.T) {
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 1}},
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 2}},
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 3, Epoch: 3, Fenced: true}},
		&metadata.TopicRecord{Name: "t", ID: kafka.UUID{1}, Partitions: []metadata.PartitionRun{{Count: 2, Partition: metadata.Partition{
			Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1, 2}, Leader: 1,
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	var s leases
	s.begin(now, now, img)
	tell := func(id kafka.BrokerID, loads ...controller.Load) {
		s.report(img.Brokers[id], &loads, now, img)
	}
	mine := []controller.Load{{Topic: kafka.UUID{1}, Partition: 1, BytesPerSecond: 5}, {Topic: kafka.UUID{9}, BytesPerSecond: 5}, {Topic: kafka.UUID{1}, Partition: 7, BytesPerSecond: 5}}
	if tell(1, mine...); s.loads(now, img) != nil {
		t.Error("broker 2 has not told")
	}
	tell(2, controller.Load{Topic: kafka.UUID{1}, Partition: 1, BytesPerSecond: 9})
	if got := s.loads(now, img); len(got) != 1 || got[0] != mine[0] {
		t.Errorf("%+v", got)
	}
	s.report(img.Brokers[1], nil, now.Add(time.Hour), img)
	if got := s.loads(now.Add(loadsStale), img); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	if got := s.loads(now.Add(loadsStale+1), img); got != nil {
		t.Errorf("that is too long ago: %+v", got)
	}
	tell(1, make([]controller.Load, mostLoads+1)...)
	if got := s.loads(now, img); len(got) != 1 {
		t.Errorf("a report that is too long was taken: %d", len(got))
	}
}

// P6: the controller remembers so many decisions and no more, the last ones.
func TestDecisionsAreBounded(t *testing.T) {
	var k keeper
	for i := range 3 * mostDecisions {
		k.noteLocked(time.Unix(int64(i), 0), []string{fmt.Sprint(i)})
	}
	if len(k.said) != mostDecisions || k.said[0].Text != fmt.Sprint(2*mostDecisions) || k.said[mostDecisions-1].Text != fmt.Sprint(3*mostDecisions-1) {
		t.Errorf("%d: %+v", len(k.said), k.said[0])
	}
}

// A broker tells its load once in a while, not with each heartbeat, and no more than is taken.
func TestLoadsAreToldSeldom(t *testing.T) {
	now := time.Unix(1000, 0)
	l := New(Options{Now: func() time.Time { return now }, Loads: func() []controller.Load { return make([]controller.Load, 2*mostLoads) }})
	told := 0
	for range 100 {
		now = now.Add(250 * time.Millisecond)
		if loads := l.loadsDue(now); loads != nil {
			if told++; len(*loads) != mostLoads {
				t.Errorf("%d", len(*loads))
			}
		}
	}
	if told != 5 {
		t.Errorf("it was told %d times in 25 s", told)
	}
	if New(Options{}).loadsDue(now) != nil {
		t.Error("nobody knows them")
	}
}
