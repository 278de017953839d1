package wires

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// maxWaiting is how many packets may be on their way to one host; what is more is lost.
const maxWaiting = 50_000

// Net is the network.
type Net struct {
	hosts []*host
	wg    sync.WaitGroup
	stop  chan struct{}

	mu    sync.Mutex // guards what follows; a leaf
	rules [][]Rule
	cuts  [][]int       // how often a pair was cut: what left before is lost
	last  [][]time.Time // when the last packet of a pair is due
	dice  *rand.Rand
	later []*schedule // by receiver
}

// New makes a network of n hosts, numbered from 0, which ends with the test; the dice of its rules have the seed. It skips the test where that
// cannot be done.
func New(t testing.TB, n int, seed uint64) *Net {
	t.Helper()
	w := &Net{stop: make(chan struct{}), dice: rand.New(rand.NewPCG(seed, 0x77697265))}
	t.Cleanup(w.close)
	for i := range n {
		h, err := newHost(net.ParseIP(w.Addr(i)))
		if err != nil {
			if why := missing(err); why != "" {
				t.Skipf("%s: %v", why, err)
			}
			t.Fatal(err)
		}
		w.hosts = append(w.hosts, h)
		w.rules, w.cuts, w.last = append(w.rules, make([]Rule, n)), append(w.cuts, make([]int, n)), append(w.last, make([]time.Time, n))
		w.later = append(w.later, &schedule{wake: make(chan struct{}, 1)})
	}
	for i := range w.hosts {
		w.wg.Go(func() { w.carry(i) })
		w.wg.Go(func() { w.deliver(i) })
	}
	return w
}

// Addr is the address of a host.
func (n *Net) Addr(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

func (n *Net) close() {
	close(n.stop)
	for _, h := range n.hosts {
		_ = h.wire.Close()
	}
	n.wg.Wait()
	for _, h := range n.hosts {
		h.close()
	}
}

// carry reads what a host sends.
func (n *Net) carry(from int) {
	b := make([]byte, 1<<16)
	for {
		size, err := n.hosts[from].wire.Read(b)
		if err != nil {
			return // closed
		}
		if to, ok := n.receiver(b[:size]); ok {
			n.pass(from, to, b[:size])
		}
	}
}

// receiver is to whom an IPv4 packet goes.
func (n *Net) receiver(p []byte) (to int, ok bool) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return 0, false
	}
	to = int(p[19]) - 1
	return to, p[16] == 10 && p[17] == 77 && p[18] == 0 && to >= 0 && to < len(n.hosts)
}

// pass does with a packet what the rule says. It is copied if it has to wait.
func (n *Net) pass(from, to int, p []byte) {
	now := time.Now()
	n.mu.Lock()
	r := n.rules[from][to]
	if r.Cut || r.Loss > 0 && n.dice.Float64() < r.Loss {
		n.mu.Unlock()
		return
	}
	times := 1
	if r.Duplicate > 0 && n.dice.Float64() < r.Duplicate {
		times = 2
	}
	due := now.Add(r.Delay)
	if r.Jitter > 0 {
		due = due.Add(time.Duration(n.dice.Int64N(int64(r.Jitter))))
	}
	last := &n.last[from][to]
	if due.Before(*last) && !r.Reorder {
		due = *last
	}
	if due.After(*last) {
		*last = due
	}
	if due.After(now) {
		s := n.later[to]
		for range times {
			if len(s.packets) < maxWaiting {
				heap.Push(s, packet{due: due, number: s.number, from: from, cut: n.cuts[from][to], bytes: append([]byte(nil), p...)})
				s.number++
			}
		}
		n.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		return
	}
	n.mu.Unlock()
	for range times {
		_, _ = n.hosts[to].wire.Write(p) // a full queue loses it
	}
}

// deliver hands over to a host what is due.
func (n *Net) deliver(to int) {
	s := n.later[to]
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p, wait, ok := n.due(to)
		if ok {
			_, _ = n.hosts[to].wire.Write(p)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-n.stop:
			return
		}
	}
}

// due takes the next packet to a host out of its schedule; if none is due, wait says for how long.
func (n *Net) due(to int) (p []byte, wait time.Duration, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.later[to]
	for len(s.packets) > 0 {
		first := s.packets[0]
		if wait := time.Until(first.due); wait > 0 {
			return nil, wait, false
		}
		heap.Pop(s)
		if first.cut == n.cuts[first.from][to] {
			return first.bytes, 0, true
		}
	}
	return nil, time.Hour, false
}
