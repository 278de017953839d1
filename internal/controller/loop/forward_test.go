package loop

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// LOP-5: while the controller hangs, another one takes over: who has asked the old one asks the new one where asking twice does no harm, and is
// told soon that it is unknown what came of it where it does.
func TestRequestsLeaveAControllerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		nodes[0].setCut(true)
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, n, err := nodes[2].loop.AllocateProducerIDs(t.Context()); err != nil || n == 0 || time.Since(began) > time.Second {
				t.Errorf("seed %d: producer ids after %v: %v", w.seed, time.Since(began), err)
			}
		})
		wg.Go(func() {
			err := nodes[2].loop.CreateTopics(t.Context(), topics("t"), false)[0].Err
			if !errors.Is(err, kafka.RequestTimedOut) || time.Since(began) > 3*time.Second {
				t.Errorf("seed %d: a topic after %v: %v", w.seed, time.Since(began), err)
			}
		})
		time.Sleep(500 * time.Millisecond)
		w.elect(2)
		wg.Wait()
		nodes[0].setCut(false)
		w.same()
	})
}

// LOP-3, LOP-5: what waits behind a commit that hangs is decided by the controller that follows; the commit itself is told as unknown.
func TestRequestsThatWaitGoToTheNextController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := []*member{w.add(1), w.add(2), w.add(3)}
		time.Sleep(time.Second)
		w.mu.Lock()
		nodes[0].hangs = true
		w.mu.Unlock()
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := nodes[0].loop.CreateTopics(t.Context(), topics("first"), false)[0].Err; !errors.Is(err, kafka.RequestTimedOut) {
				t.Errorf("seed %d: %v", w.seed, err)
			}
		})
		time.Sleep(100 * time.Millisecond)
		for _, m := range []*member{nodes[0], nodes[2]} {
			wg.Go(func() {
				err := m.loop.CreateTopics(t.Context(), topics("from-"+string(rune('0'+m.id))), false)[0].Err
				if err != nil || time.Since(began) > time.Second {
					t.Errorf("seed %d: node %d after %v: %v", w.seed, m.id, time.Since(began), err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		w.elect(2)
		wg.Wait()
		w.mu.Lock()
		nodes[0].hangs = false
		w.changedLocked()
		w.mu.Unlock()
		w.same()
	})
}

// oddPeers answers calls as a test says.
type oddPeers struct {
	mu    sync.Mutex
	calls map[string]int
	call  func(n int, method string) ([]byte, error)
}

func (p *oddPeers) Call(_ context.Context, _ kafka.BrokerID, method string, _ []byte) ([]byte, error) {
	p.mu.Lock()
	p.calls[method]++
	n := p.calls[method]
	p.mu.Unlock()
	return p.call(n, method)
}

func (p *oddPeers) Probe(context.Context, kafka.BrokerID) error { return nil }

// LOP-5: nothing is asked twice unless it was not asked the first time, or asking twice does no harm.
func TestWhatMayHaveHappenedIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.prepare(1)
		w.elect(2) // of which this node only hears
		w.eventually("it hears", func() bool { return m.Leadership().Controller == 2 })
		p := &oddPeers{calls: map[string]int{}}
		l := New(Options{Store: m, Env: environment(), Peers: p, Node: 1, Logger: m.loop.opts.Logger})
		img, delta, _ := metadata.Snapshot{}.Image()
		l.launch(0, img, delta)
		t.Cleanup(l.Close)

		void, _ := reply{Void: true}.encode(nil)
		unknown, _ := reply{Unknown: true}.encode(nil)
		refused, _ := reply{Refused: failure{kafka.Errorf(kafka.PolicyViolation, "too much")}}.encode(nil)
		created, _ := reply{}.encode(createdTopics{{Name: "t", Partitions: 3}})
		block, _ := reply{}.encode(producerIDs{First: 5000})
		broken := kafka.Errorf(kafka.NetworkException, "the connection broke")
		type step struct {
			body []byte
			err  error
		}
		for name, c := range map[string]struct {
			first         step
			once, several kafka.ErrorCode // of creating a topic, and of producer ids
			tries         int             // of creating a topic
			triesAgain    int             // of producer ids
		}{
			"it does not decide":       {step{void, nil}, kafka.None, kafka.None, 2, 2},
			"it was not reached":       {step{nil, kafka.Errorf(kafka.BrokerNotAvailable, "open")}, kafka.None, kafka.None, 2, 2},
			"nothing listens":          {step{nil, kafka.Errorf(kafka.BrokerNotAvailable, "dial: %w", syscall.ECONNREFUSED)}, kafka.None, kafka.None, 2, 2},
			"the connection broke":     {step{nil, broken}, kafka.RequestTimedOut, kafka.None, 1, 2},
			"it does not know":         {step{unknown, nil}, kafka.RequestTimedOut, kafka.None, 1, 2},
			"it answers nonsense":      {step{[]byte("{"), nil}, kafka.RequestTimedOut, kafka.None, 1, 2},
			"it refuses":               {step{refused, nil}, kafka.PolicyViolation, kafka.PolicyViolation, 1, 1},
			"it is of another release": {step{nil, kafka.Errorf(kafka.UnsupportedVersion, "no such method")}, kafka.UnsupportedVersion, kafka.UnsupportedVersion, 1, 1},
		} {
			clear(p.calls)
			p.call = func(n int, method string) ([]byte, error) {
				switch {
				case n == 1:
					return c.first.body, c.first.err
				case method == createTopics.name:
					return created, nil
				}
				return block, nil
			}
			a := l.CreateTopics(t.Context(), topics("t"), false)
			if kafka.CodeOf(a[0].Err) != c.once || p.calls[createTopics.name] != c.tries || c.once == kafka.None && a[0].Partitions != 3 {
				t.Errorf("%s: a topic: %+v after %d calls", name, a, p.calls[createTopics.name])
			}
			first, _, err := l.AllocateProducerIDs(t.Context())
			if kafka.CodeOf(err) != c.several || p.calls[allocateProducerIDs.name] != c.triesAgain || err == nil && first != 5000 {
				t.Errorf("%s: producer ids: %v (%v) after %d calls", name, first, err, p.calls[allocateProducerIDs.name])
			}
		}
		// It gives up in the end, and says that nothing has happened.
		p.call = func(int, string) ([]byte, error) { return void, nil }
		began := time.Now()
		if err := l.CreateTopics(t.Context(), topics("t"), false)[0].Err; !errors.Is(err, kafka.NotController) || time.Since(began) < patience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// An answer that does not go with the request.
		p.call = func(int, string) ([]byte, error) { return created, nil }
		if a := l.CreateTopics(t.Context(), topics("t", "u"), false); a[0].Err == nil || a[1].Err == nil {
			t.Errorf("%+v", a)
		}
	})
}

// LOP-5: what crosses the wire arrives as it was, the difference between nothing and empty included.
func TestRequestsAndAnswersSurviveTheWire(t *testing.T) {
	empty, value := "", "1000"
	check := func(in, out any) {
		t.Helper()
		b, err := encode(in)
		if err == nil {
			err = decode(b, out)
		}
		if got := reflect.ValueOf(out).Elem().Interface(); err != nil || !reflect.DeepEqual(in, got) {
			t.Errorf("%+v arrives as %+v (%v)\n%s", in, got, err, b)
		}
	}
	check(asked[controller.NewTopic]{ValidateOnly: true, List: []controller.NewTopic{
		{Name: "a", Partitions: -1, Replication: -1, Assignment: map[int32][]kafka.BrokerID{0: {1, 2}}, Configs: []controller.ConfigEntry{{Name: "x", Value: &value}, {Name: "y"}, {Name: "z", Value: &empty}}},
	}}, &asked[controller.NewTopic]{})
	check([]controller.TopicRef{{Name: "a"}, {ID: kafka.UUID{1, 2, 15: 3}}}, &[]controller.TopicRef{})
	check(asked[controller.MorePartitions]{List: []controller.MorePartitions{{Topic: "a", Total: 3, Assignment: [][]kafka.BrokerID{{1}}}, {Topic: "b", Total: 2}}}, &asked[controller.MorePartitions]{})
	check(asked[controller.AlterResource]{List: []controller.AlterResource{
		{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: "a"}, Replace: true, Changes: []controller.ConfigChange{{Name: "x", Value: &empty}, {Name: "y", Op: controller.OpDelete}}},
	}}, &asked[controller.AlterResource]{})
	check(isrChanges{By: 1, ByEpoch: 1 << 60, Changes: []controller.ISRChange{{TopicID: kafka.UUID{5}, Partition: 3, LeaderEpoch: 4, PartitionEpoch: 5, ISR: []controller.ISRMember{{ID: 2, Epoch: -1}}}}}, &isrChanges{})
	check(election{Kind: 1}, &election{})
	check(election{Partitions: []kafka.TopicPartition{{Topic: "a", Partition: 1}}}, &election{})
	check(reassignments{Allow: true, List: []controller.Reassignment{{TopicPartition: kafka.TopicPartition{Topic: "a"}, Replicas: []kafka.BrokerID{}}, {}}}, &reassignments{})
	check(controller.Registration{
		Broker:    metadata.Broker{ID: 3, Rack: "r", Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: 9092}}, Incarnation: kafka.UUID{7}, Peers: []string{"h:1"}},
		ClusterID: "c", Features: map[string]int16{"f": 1}, EmptyDisk: true,
	}, &controller.Registration{})
	check(asked[controller.FeatureUpdate]{List: []controller.FeatureUpdate{{Name: "f", Level: 1, Kind: 1}}}, &asked[controller.FeatureUpdate]{})
	check([]BrokerStatus{{ID: 1, Epoch: 2, Fenced: true, Silent: time.Second, Offset: -1}}, &[]BrokerStatus{})
	check(heartbeat{Node: 1, Incarnation: kafka.UUID{4}, Epoch: 2, Offset: 3}, &heartbeat{})

	bare := kafka.NotController
	worded := kafka.Errorf(kafka.InvalidRequest, "why")
	check(failures{nil, bare, worded}, &failures{})
	check(createdTopics{{Name: "a", ID: kafka.UUID{1}, Partitions: 3, Replication: 2}, {Name: "b", Err: worded, Partitions: -1, Replication: -1}}, &createdTopics{})
	check(deletedTopics{{Name: "a", ID: kafka.UUID{1}}, {ID: kafka.UUID{2}, Err: bare}}, &deletedTopics{})
	check(electedPartitions{{TopicPartition: kafka.TopicPartition{Topic: "a", Partition: 1}, Err: worded}, {}}, &electedPartitions{})
	check(producerIDs{First: 1 << 62}, &producerIDs{})
	check(registered{Epoch: -1, Err: failure{worded}}, &registered{})

	var f failure
	if b, err := json.Marshal(failure{errors.New("odd")}); err != nil || json.Unmarshal(b, &f) != nil || kafka.CodeOf(f.error) != kafka.UnknownServerError || kafka.MessageOf(f.error) != "odd" {
		t.Errorf("%v", f.error)
	}
	if _, err := encode(make([]byte, maxBody)); !errors.Is(err, kafka.PolicyViolation) {
		t.Error(err)
	}
	if err := decode(make([]byte, maxBody+1), &f); !errors.Is(err, kafka.InvalidRequest) {
		t.Error(err)
	}
}

// What another node sends is not understood or refused, and never ends this one.
func FuzzMethods(f *testing.F) {
	f.Add("controller.createTopics", []byte(`{"List":[{"Name":"t","Partitions":1,"Replication":1}]}`))
	f.Add("controller.alterPartition", []byte(`{"By":1,"Changes":[{"TopicID":"AAAAAAAAAAAAAAAAAAAAAA","Partition":-1}]}`))
	f.Add("controller.alterReassignments", []byte(`{"List":[{"Topic":"t","Replicas":[1,1]}]}`))
	f.Add("controller.register", []byte(`{"Broker":{"ID":-7}}`))
	f.Add("heartbeat", []byte(`{"Node":1}`))
	l := start(f, options(store(f, nil)))
	methods := l.Methods()
	f.Fuzz(func(t *testing.T, method string, body []byte) {
		if h := methods[method]; h != nil {
			b, err := h(t.Context(), peer.Caller{Node: 2}, body)
			if (err == nil) == (b == nil) {
				t.Errorf("%s answers %q and %v", method, b, err)
			}
		}
		var r reply
		_ = decode(body, &r)
		var created createdTopics
		_, _ = decodeReply(body, &created)
	})
}

// LOP-6: the table of leases by itself: what ends one, what does not, and what a frozen controller does.
func TestLeases(t *testing.T) {
	img := metadata.Empty()
	img.Offset = 10
	img.Brokers[1] = &metadata.Broker{ID: 1, Epoch: 4}
	img.Brokers[2] = &metadata.Broker{ID: 2, Epoch: 5, Fenced: true}
	const length = time.Second
	start := time.Now()
	after := func(d time.Duration) time.Time { return start.Add(d) }
	var s leases
	s.begin(start, start, img)
	due := func(d time.Duration) [2]int {
		fence, unfence := s.due(after(d), img, length)
		return [2]int{len(fence), len(unfence)}
	}
	expect := func(d time.Duration, fence, unfence int) {
		t.Helper()
		if got := due(d); got != [2]int{fence, unfence} {
			t.Errorf("after %v: %v are due, want %d to fence and %d to unfence", d, got, fence, unfence)
		}
	}
	expect(length-1, 0, 0)
	expect(length, 1, 0)
	if unsure, ready := s.heard(img.Brokers[2], 9, after(100), img); unsure != 100 || ready {
		t.Errorf("unsure for %v, ready %v", unsure, ready)
	}
	s.confirm(after(90))
	if unsure, ready := s.heard(img.Brokers[2], 10, after(100), img); unsure != 10 || !ready {
		t.Errorf("unsure for %v, ready %v", unsure, ready)
	}
	expect(length/2, 0, 1)
	s.fenced([]kafka.BrokerID{2}, 11)
	expect(length/2, 0, 0)
	s.heard(img.Brokers[2], 11, after(200), img)
	expect(length/2, 0, 1)
	expect(2*length, 1, 0) // silent since

	// A probe that finds nobody counts unless the broker is heard of meanwhile.
	for _, heard := range []bool{true, false} {
		if !s.probe(img.Brokers[1], after(300), img) || s.probe(img.Brokers[1], after(300), img) {
			t.Error("two probes at a time, or none")
		}
		if heard {
			s.heard(img.Brokers[1], 10, after(350), img)
		}
		if gone := s.probed(1, 4, after(300), true); gone == heard {
			if !heard {
				t.Error("a process that is gone is not believed to be")
			} else {
				t.Error("a process that was heard of is believed to be gone")
			}
		}
		s.heard(img.Brokers[1], 10, after(250), img)
	}
	s.probe(img.Brokers[1], after(400), img)
	s.probed(1, 4, after(400), true)
	expect(401, 1, 1)

	// A controller that stood still has heard nothing; all leases begin anew, but a process that is gone is gone.
	if s.stalled(after(length/4), length/2) {
		t.Error("a quarter of a second is no stall")
	}
	if !s.stalled(after(10*length), length/2) {
		t.Error("ten seconds are a stall")
	}
	expect(10*length+1, 1, 1)
	s.heard(img.Brokers[1], 10, after(10*length+2), img)
	expect(10*length+3, 0, 1)

	// Another process of that id has another lease, and one that was forgotten none.
	img.Brokers[1] = &metadata.Broker{ID: 1, Epoch: 40, Fenced: true}
	expect(10*length+4, 0, 1)
	delete(img.Brokers, 2)
	expect(10*length+5, 0, 0)
	if len(s.of) != 1 {
		t.Errorf("%d leases of one broker", len(s.of))
	}
}

// LOP-6: the broker's lease ends before the controller's, and before those that a successor begins, though clocks differ by one part in twenty in
// speed and the controller was deposed after it had made sure last.
func TestLeaseConstants(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	for range 1000 {
		length := time.Duration(1000 + rng.Int64N(int64(time.Minute)))
		unsure := time.Duration(rng.Int64N(int64(length/leaseConfirmed) + 1)) // from when it was sure to the answer
		travel := time.Duration(rng.Int64N(int64(length)))                    // from the sending of the heartbeat to the answer
		granted := length - length/leaseMargin - unsure
		slow := granted + granted/20
		if slow > length {
			t.Fatalf("a lease of %v outlives the controller's of %v", granted, length)
		}
		// Counted from when the controller was sure, before which no successor can have begun its leases.
		if unsure-travel+slow > length {
			t.Fatalf("a lease of %v, by a controller that was sure %v before, outlives those of its successor, of %v", granted, unsure, length)
		}
	}
}
