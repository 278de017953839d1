package join

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/vfs"
)

// world is nodes that start, stop and lose their disks on a network that loses and delays messages.
type world struct {
	*testing.T
	expect int
	addrs  []string
	// name stands for all addresses where it is set, and is all that nodes are told.
	name string

	mu     sync.Mutex // guards what follows
	rng    *rand.Rand
	chaos  bool
	nodes  map[string]*Node
	disks  map[string]*vfs.Mem
	wants  map[string]kafka.BrokerID
	stops  map[string]func()
	who    map[string]map[kafka.BrokerID]kafka.UUID // by cluster and node id, whose it is
	next   kafka.BrokerID
	admits int
}

func newWorld(t *testing.T, seed uint64, nodes, expect int) *world {
	w := &world{
		T: t, expect: expect, rng: rand.New(rand.NewPCG(seed, 1)), nodes: map[string]*Node{}, disks: map[string]*vfs.Mem{}, wants: map[string]kafka.BrokerID{},
		stops: map[string]func(){}, who: map[string]map[kafka.BrokerID]kafka.UUID{}, next: 100,
	}
	for i := range nodes {
		addr := fmt.Sprintf("h%d:9094", i)
		w.addrs = append(w.addrs, addr)
		w.disks[addr], w.wants[addr] = vfs.NewMem(), kafka.NoBroker
	}
	return w
}

func (w *world) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

func (w *world) bad(one int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chaos && w.rng.IntN(one) == 0
}

var errLost = errors.New("lost on the way")

// call is the network: requests and answers are late, and some are lost.
func (w *world) call(ctx context.Context, addr, method string, body []byte) ([]byte, error) {
	time.Sleep(time.Duration(w.draw(2000)) * time.Microsecond)
	if w.bad(4) {
		<-ctx.Done()
		return nil, errLost
	}
	w.mu.Lock()
	n := w.nodes[addr]
	w.mu.Unlock()
	if n == nil {
		return nil, errors.New("refused")
	}
	if w.bad(6) { // so late that nobody waits for it
		time.Sleep(1500 * time.Millisecond)
	}
	b, err := n.Methods()[method](ctx, body)
	time.Sleep(time.Duration(w.draw(2000)) * time.Microsecond)
	if w.bad(4) || ctx.Err() != nil {
		return nil, errLost
	}
	return b, err
}

// start runs a node until it is stopped.
func (w *world) start(addr string) {
	w.Helper()
	w.mu.Lock()
	want, disk := w.wants[addr], w.disks[addr]
	w.mu.Unlock()
	told, resolve := w.addrs, func(_ context.Context, addrs []string) []string { return addrs }
	if w.name != "" {
		told, resolve = []string{w.name}, func(context.Context, []string) []string { return w.addrs }
	}
	n, err := Open(Options{
		FS: disk, Dir: "/m", Peer: addr, Want: want, Addrs: told, Resolve: resolve, Expect: w.expect, Call: w.call, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	w.mu.Lock()
	w.nodes[addr] = n
	w.stops[addr] = func() { cancel(); <-done }
	w.mu.Unlock()
	go func() {
		defer close(done)
		id, err := n.Find(ctx)
		if err != nil {
			return
		}
		w.belongs(id)
		n.Serve(w.admitter(id.ClusterID))
	}()
}

// belongs checks that there is one cluster and that no two nodes are the same one (JOI-1, JOI-2).
func (w *world) belongs(id Identity) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.who[id.ClusterID] == nil {
		w.who[id.ClusterID] = map[kafka.BrokerID]kafka.UUID{}
	}
	if len(w.who) > 1 {
		w.Errorf("two clusters: %v", w.who)
	}
	ids := w.who[id.ClusterID]
	if other, taken := ids[id.Node]; taken && other != id.Directory {
		w.Errorf("node %d of %s is two", id.Node, id.ClusterID)
	}
	ids[id.Node] = id.Directory
}

func (w *world) admitter(cluster string) Admit {
	return func(_ context.Context, a Admission) (Admitted, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for id, dir := range w.who[cluster] {
			if dir == a.Directory {
				return Admitted{ClusterID: cluster, Node: id}, nil
			}
		}
		w.admits++
		w.next++
		id := w.next
		if a.Want != kafka.NoBroker {
			id = a.Want
		}
		w.who[cluster][id] = a.Directory
		return Admitted{ClusterID: cluster, Node: id}, nil
	}
}

func (w *world) stop(addr string) {
	w.mu.Lock()
	stop := w.stops[addr]
	delete(w.nodes, addr)
	delete(w.stops, addr)
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (w *world) stopAll() {
	for _, addr := range w.addrs {
		w.stop(addr)
	}
}

// settled waits until all nodes that run belong to one cluster.
func (w *world) settled() {
	w.Helper()
	w.mu.Lock()
	w.chaos = false
	w.mu.Unlock()
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		all := true
		for _, addr := range w.addrs {
			w.mu.Lock()
			n := w.nodes[addr]
			w.mu.Unlock()
			if n != nil {
				id := n.Identity()
				all = all && id.Belongs()
			}
		}
		if all {
			return
		}
	}
	for _, addr := range w.addrs {
		if n := w.nodes[addr]; n != nil {
			w.Logf("%s: %+v", addr, n.status())
		}
	}
	w.Fatal("no cluster after a minute of calm")
}

// JOI-1, JOI-2, JOI-3, JOI-4: whatever is lost, stopped and started, there is one cluster at most, and one in the end.
func TestNodesFindOneCluster(t *testing.T) {
	for range 40 {
		seed := seed.Of(t)
		t.Logf("seed %d", seed)
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			nodes := 2 + rng.IntN(4)
			w := newWorld(t, seed, nodes, max(nodes/2+1, 1+rng.IntN(nodes)))
			w.chaos = true
			for range rng.IntN(60) {
				addr := w.addrs[rng.IntN(nodes)]
				switch _, runs := w.stops[addr]; {
				case !runs:
					w.start(addr)
				case rng.IntN(3) == 0:
					w.stop(addr)
					w.mu.Lock()
					w.disks[addr] = w.disks[addr].Crash(rng, vfs.LoseUnsynced)
					w.mu.Unlock()
				}
				time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
			}
			for _, addr := range w.addrs {
				if _, runs := w.stops[addr]; !runs {
					w.start(addr)
				}
			}
			w.settled()
			w.stopAll()
			if len(w.who) != 1 {
				t.Errorf("clusters: %v", w.who)
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
}

// Nodes get the ids that they ask for; those of the voters are as many as are wanted, and odd.
func TestFoundingGivesTheIDsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 4, 4)
		w.wants[w.addrs[1]], w.wants[w.addrs[3]] = 7, 1
		for _, addr := range w.addrs {
			w.start(addr)
		}
		w.settled()
		var got []string
		for _, addr := range w.addrs {
			id := w.nodes[addr].Identity()
			got = append(got, fmt.Sprint(id.Node, id.Voter, len(id.Members)))
		}
		if s := strings.Join(got, ", "); s != "2 true 3, 7 true 3, 3 true 3, 1 false 3" {
			t.Error(s)
		}
		w.stopAll()
	})
}

// One name that stands for all, as that of a headless service, is as good as the list of them.
func TestNodesFindEachOtherByOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 3, 3)
		w.name = "rafka.svc:9094"
		for _, addr := range w.addrs {
			w.start(addr)
		}
		w.settled()
		first := w.nodes[w.addrs[0]].Identity()
		for _, addr := range w.addrs {
			if id := w.nodes[addr].Identity(); id.ClusterID != first.ClusterID || !id.Voter {
				t.Errorf("%s is of %s, the first one of %s", addr, id.ClusterID, first.ClusterID)
			}
		}
		w.stopAll()
	})
}

// A founder whose disk is lost while others wait for it does not keep them waiting (JOI-4).
func TestPromiseToALostFounderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 3, 3)
		w.start(w.addrs[1])
		n := w.nodes[w.addrs[1]]
		if err := n.promised(promise{Founder: kafka.UUID{5}, Peer: w.addrs[0]}); err != nil {
			t.Fatal(err)
		}
		if err := n.promised(promise{Founder: kafka.UUID{6}, Peer: w.addrs[2]}); err == nil {
			t.Fatal("promised to two founders")
		}
		w.start(w.addrs[2])
		time.Sleep(10 * time.Second)
		if n.Identity().Promised != (kafka.UUID{5}) {
			t.Fatal("a promise ended while its founder was away")
		}
		w.start(w.addrs[0])
		w.settled()
		w.stopAll()
	})
}

// Mistakes on the command line are told, and no cluster comes of them.
func TestMistakesAreTold(t *testing.T) {
	a := status{Directory: kafka.UUID{1}, Peer: "a:1", Expect: 3, Node: kafka.NoBroker}
	b := status{Directory: kafka.UUID{2}, Peer: "b:1", Expect: 3, Node: kafka.NoBroker}
	c := status{Directory: kafka.UUID{3}, Peer: "c:1", Expect: 3, Node: kafka.NoBroker}
	for name, tc := range map[string]struct {
		me     status
		others []seen
		addrs  int
		want   string
	}{
		"all well":       {a, []seen{{status: b}, {status: c}}, 3, ""},
		"too few":        {a, []seen{{status: b}}, 3, "2 nodes are there, 3 are needed"},
		"half of many":   {a, []seen{{status: b}, {status: c}}, 6, "3 nodes are there, 4 are needed"},
		"not the lowest": {b, []seen{{status: a}, {status: c}}, 3, "waiting for"},
		"nothing to do":  {status{Peer: "a:1"}, nil, 1, "--bootstrap-expect"},
		"other expect":   {a, []seen{{status: b}, {status: status{Peer: "c:1", Expect: 5}}}, 3, "--bootstrap-expect"},
		"same address":   {a, []seen{{status: b}, {status: status{Peer: "a:1", Expect: 3}}}, 3, "--peer-addr"},
	} {
		err := mayFound(tc.me, tc.others, tc.addrs, errors.New("x"))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.Node, c.Node = 4, 4
	n := &Node{opts: Options{NewID: kafka.NewUUID, Voters: 3}}
	if _, err := n.foundation(a, []seen{{status: b}, {status: c}}); err == nil || !strings.Contains(err.Error(), "--node-id") {
		t.Error(err)
	}
}

// JOI-1: a directory stays what it is, also across a crash at any moment of the write.
func TestIdentityIsKept(t *testing.T) {
	mem := vfs.NewMem()
	n, err := Open(Options{FS: mem, Dir: "/d/m", Peer: "a:1"})
	if err != nil {
		t.Fatal(err)
	}
	first := n.Identity()
	var crashes []*vfs.Mem
	mem.OnSync(func(string) { crashes = append(crashes, mem.Crash(nil, vfs.LoseUnsynced)) })
	if err := n.Belong(Admitted{ClusterID: "c", Node: 3, Voter: true, Members: []Member{{Node: 3, Peer: "a:1"}}}); err != nil {
		t.Fatal(err)
	}
	mem.OnSync(nil)
	crashes = append(crashes, mem.Crash(nil, vfs.LoseUnsynced))
	for i, c := range crashes {
		id, ok, err := Load(c, "/d/m")
		if err != nil || !ok || id.Directory != first.Directory || id.Belongs() && id.Node != 3 || i == len(crashes)-1 && !id.Belongs() {
			t.Errorf("crash %d: %+v %v %v", i, id, ok, err)
		}
	}
	if err := n.Belong(Admitted{ClusterID: "other", Node: 3}); err == nil {
		t.Error("it changed its cluster")
	}
	if err := n.Belong(Admitted{ClusterID: "c", Node: 4}); err == nil {
		t.Error("it changed its id")
	}
}

func FuzzDecodeIdentity(f *testing.F) {
	f.Add([]byte(`{"directory":"AAAAAAAAAAAAAAAAAAAAAQ","node":1,"cluster_id":"c"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := decodeIdentity(b)
		if err == nil && (id.Directory.IsZero() || id.Belongs() && id.Node < 0) {
			t.Fatalf("%+v", id)
		}
		for _, fn := range []func([]byte) error{
			func(b []byte) error { _, err := decode[status](b); return err },
			func(b []byte) error { _, err := decode[founding](b); return err },
			func(b []byte) error { _, err := decode[Admission](b); return err },
			func(b []byte) error { _, err := decode[Admitted](b); return err },
		} {
			_ = fn(b)
		}
	})
}

// What changes after a node belongs is durable or has not happened: its vote, where others are, and that its empty disk was told (JOI-1).
func TestWhatChangesLaterIsKept(t *testing.T) {
	disk := vfs.NewMem()
	open := func() *Node {
		n, err := Open(Options{FS: disk, Dir: "/m", Peer: "a:1", Want: kafka.NoBroker, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open()
	if err := n.Belong(Admitted{ClusterID: "c", Node: 3, Voter: true, Founding: true, Members: []Member{{Node: 3, Peer: "a:1"}}, EmptyDisk: true}); err != nil {
		t.Fatal(err)
	}
	if id := open().Identity(); !id.EmptyDisk || !id.Founding {
		t.Fatalf("%+v", id)
	}
	for what, change := range map[string]func() error{
		"vote":       func() error { return n.Seat(false, []Member{{Node: 1, Peer: "b:1"}}) },
		"others":     func() error { return n.Know([]string{"b:1", "c:1"}) },
		"empty disk": n.Registered,
	} {
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	id := open().Identity()
	if id.EmptyDisk || id.Voter || id.Founding || len(id.Known) != 2 || len(id.Members) != 1 || id.Members[0].Node != 1 || id.Node != 3 || id.ClusterID != "c" {
		t.Fatalf("%+v", id)
	}
}

// A broker that was told of nobody is a cluster of one: others join it, none is founded beside it, and it is promised to nobody (JOI-1, JOI-2).
func TestOthersJoinAClusterOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 3, 3)
		alone, err := Open(Options{FS: w.disks[w.addrs[0]], Dir: "/m", Peer: w.addrs[0], Want: 7, Expect: 3, Call: w.call})
		if err != nil {
			t.Fatal(err)
		}
		w.who["one"] = map[kafka.BrokerID]kafka.UUID{7: alone.Identity().Directory}
		admit := w.admitter("one")
		alone.Serve(func(ctx context.Context, a Admission) (Admitted, error) {
			if err := alone.Belong(Admitted{ClusterID: "one", Node: 7}); err != nil { // it grows when the first asks
				return Admitted{}, err
			}
			return admit(ctx, a)
		})
		w.nodes[w.addrs[0]] = alone
		w.start(w.addrs[1])
		w.start(w.addrs[2])
		w.settled()
		w.stop(w.addrs[1])
		w.stop(w.addrs[2])
		if len(w.who["one"]) != 3 {
			t.Errorf("%v", w.who)
		}
	})
}
