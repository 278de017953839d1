package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
)

// pacer is a client that asks when it is told to, gives up partitions at once, and says at once that it has, as Kafka's consumer does.
type pacer struct {
	id    string
	epoch int32
	has   assign.Partitions
	due   time.Time
	tell  bool
	beats int
}

func (w *world) pacerBeat(p *pacer) {
	req := beat("g", p.id, p.epoch)
	if p.epoch == 0 {
		req = joinBeat("g", p.id, "orders")
	} else if p.tell {
		having(req, p.has)
	}
	resp, err := w.consumerBeat(req)
	if err != nil || resp.ErrorCode != 0 {
		w.t.Fatalf("%s: %v, %v", p.id, code(resp.ErrorCode), err)
	}
	p.beats++
	p.tell = false
	p.epoch = resp.MemberEpoch
	p.due = w.Now.Add(time.Duration(resp.HeartbeatIntervalMillis) * time.Millisecond)
	if resp.Assignment != nil {
		p.has, p.tell = assignmentOf(resp), true
		p.due = w.Now
	}
}

// run lets the clients ask until the group is at rest, and returns how long that took and how many heartbeats.
func (w *world) rest(clients []*pacer) (took time.Duration, beats int) {
	began, before := w.Now, 0
	for _, p := range clients {
		before += p.beats
	}
	for {
		for _, p := range clients {
			if !p.due.After(w.Now) {
				w.pacerBeat(p)
			}
		}
		g, _ := named[*consumerGroup](w.Shard, "g")
		covered, told := 0, true
		for _, p := range clients {
			covered += p.has.Len()
			told = told && !p.tell
		}
		if covered == len(w.Image.Topics.ByName("orders").Partitions) && told && g.state(w.view()) == "Stable" {
			break
		}
		w.Advance(10 * time.Millisecond)
	}
	for _, p := range clients {
		beats += p.beats
	}
	return w.Now.Sub(began), beats - before
}

// The figures are a fifth of what Kafka 4.4 takes for the same (issue 4: 10.1, 5.0 and 3.0 s), in the time of the clients.
func TestMembersHearSoonOfARebalance(t *testing.T) {
	w := newModernWorld(t)
	w.grow("orders", 97)
	var clients []*pacer
	for i := range 10 {
		clients = append(clients, &pacer{id: fmt.Sprintf("m%02d", i), due: w.Now.Add(time.Duration(i) * 7 * time.Millisecond)})
	}
	took, beats := w.rest(clients)
	t.Logf("ten join: %v, %d heartbeats", took, beats)
	if limit := 2020 * time.Millisecond; took > limit {
		t.Errorf("ten members took %v to join, at most %v are wanted", took, limit)
	}
	calm := func() {
		before := 0
		for _, p := range clients {
			before -= p.beats
		}
		for range 100 * 60 {
			for _, p := range clients {
				if !p.due.After(w.Now) {
					w.pacerBeat(p)
				}
			}
			w.Advance(10 * time.Millisecond)
		}
		for _, p := range clients {
			before += p.beats
		}
		if perSecond := before / 60; perSecond > 20 {
			t.Errorf("%d members at rest send %d heartbeats a second", len(clients), perSecond)
		}
	}
	calm()
	clients = append(clients, &pacer{id: "m10", due: w.Now})
	took, beats = w.rest(clients)
	t.Logf("one more joins: %v, %d heartbeats", took, beats)
	if limit := time.Second; took > limit {
		t.Errorf("one more member took %v, at most %v are wanted", took, limit)
	}
	calm()
	if _, err := w.consumerBeat(beat("g", clients[3].id, epochLeave)); err != nil {
		t.Fatal(err)
	}
	clients = append(clients[:3], clients[4:]...)
	took, beats = w.rest(clients)
	t.Logf("one leaves: %v, %d heartbeats", took, beats)
	if limit := 600 * time.Millisecond; took > limit {
		t.Errorf("it took %v to replace one who left, at most %v are wanted", took, limit)
	}
}

// However many members a shard has, they ask for no more than the bounds that are promised beside paceOf.
func TestThePaceIsBounded(t *testing.T) {
	const configured = 5 * time.Second
	for crowd := 1; crowd < 100_000; crowd = crowd*11/10 + 1 {
		for _, c := range []struct {
			hurried   bool
			perSecond float64
		}{{false, 20}, {true, 500}} {
			pace := paceOf(c.hurried, crowd, configured)
			rate, asked := float64(crowd)/pace.Seconds(), float64(crowd)/configured.Seconds()
			if rate > max(c.perSecond, asked)*1.001 || pace > configured {
				t.Errorf("%d members, hurried %v: each %v, %.0f a second", crowd, c.hurried, pace, rate)
			}
		}
	}
	if p := paceOf(true, 1, 50*time.Millisecond); p != 50*time.Millisecond {
		t.Errorf("a setting of 50 ms is exceeded: %v", p)
	}
}

// A heartbeat of a member of a group at rest, in a shard with 10,000 members.
func BenchmarkConsumerHeartbeatThatChangesNothing(b *testing.B) {
	w := newModernWorld(b)
	var reqs []*kmsg.ConsumerGroupHeartbeatRequest
	for i := range 10_000 {
		group, id := fmt.Sprintf("g%d", i/10), fmt.Sprintf("m%d", i)
		resp, err := w.consumerBeat(joinBeat(group, id, "orders"))
		if err != nil {
			b.Fatal(err)
		}
		reqs = append(reqs, beat(group, id, resp.MemberEpoch))
	}
	w.Advance(2 * time.Second)
	for range 3 {
		for i, r := range reqs {
			resp, _ := w.consumerBeat(having(reqs[i], nil))
			r.MemberEpoch = resp.MemberEpoch
		}
	}
	client := Client{"app", "/10.0.0.1"}
	for _, r := range reqs {
		r.Topics = nil
	}
	records := len(w.Log)
	var shard *Shard
	var op *coordinator.Op
	if _, err := w.Do(func(s *Shard, o *coordinator.Op) { shard, op = s, o }); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if resp := shard.ConsumerGroupHeartbeat(op, client, reqs[i%len(reqs)]); resp.ErrorCode != 0 {
			b.Fatal(code(resp.ErrorCode))
		}
		i++
	}
	if c := op.Collected(); len(c.Records) > 0 || len(c.Timers) > 0 || len(w.Log) != records {
		b.Fatal("a heartbeat that changes nothing wrote a record or set a timer")
	}
}
