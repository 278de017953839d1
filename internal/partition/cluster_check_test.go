package partition

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// checkOffsets: ISR-1, PAR-4.
func (c *cluster) checkOffsets() {
	for _, n := range c.nodes {
		if !n.up || n.log() == nil {
			continue
		}
		hw, lso, end := n.p.HighWatermark(), n.p.LastStable(), n.log().Bounds().End
		switch {
		case hw > max(end, n.p.LogStart()) || lso > hw:
			c.fail("broker %d: LSO %d, high watermark %d, log end %d", n.id, lso, hw, end)
		case hw < n.hw:
			c.fail("broker %d: the high watermark falls from %d to %d", n.id, n.hw, hw)
		}
		n.hw = hw
	}
}

// checkLogs compares the replicas with each other, with what was acknowledged, and with what is known of them.
func (c *cluster) checkLogs() {
	logs := make([][]txnEntry, len(c.nodes))
	for i, n := range c.nodes {
		logs[i] = n.entries()
	}
	// The committed part is the same everywhere.
	for i, n := range c.nodes {
		for j := range i {
			m := c.nodes[j]
			if n.up && m.up {
				sameLogs(c, n, m, logs[i], logs[j], min(n.p.HighWatermark(), m.p.HighWatermark()))
			}
		}
	}
	// Whoever may lead has what was acknowledged (ISR-2), durable, and nobody has it twice (PAR-3).
	r := c.current()
	for _, id := range append(slices.Clone(r.ISR), c.elr...) {
		n := c.nodes[id]
		var b storage.Bounds
		if l := n.log(); l != nil {
			b = l.Bounds()
		}
		at := map[kafka.Offset]string{}
		for _, e := range logs[id] {
			if e.NextOffset() <= b.Durable {
				at[e.BaseOffset] = string(e.raw)
			}
		}
		for _, a := range c.acked {
			if h, _ := record.ParseHeader([]byte(a.raw)); h.NextOffset() > max(b.Start, n.p.LogStart()) && at[a.base] != a.raw {
				c.fail("broker %d may lead and has lost what was acknowledged at offset %d", id, a.base)
			}
		}
	}
	for i, n := range c.nodes {
		seen := map[string]kafka.Offset{}
		for _, e := range logs[i] {
			if e.BaseSequence < 0 {
				continue
			}
			key := fmt.Sprint(e.ProducerID, e.ProducerEpoch, e.BaseSequence)
			if at, twice := seen[key]; twice {
				c.fail("broker %d has a batch of producer %d at offsets %d and %d", n.id, e.ProducerID, at, e.BaseOffset)
			}
			seen[key] = e.BaseOffset
		}
		if n.up && n.p.loaded.Load() {
			n.checkKnown(logs[i])
		}
	}
}

func sameLogs(c *cluster, n, m *replicaNode, a, b []txnEntry, upto kafka.Offset) {
	from := max(n.p.LogStart(), m.p.LogStart())
	cut := func(log []txnEntry) []txnEntry {
		return slices.DeleteFunc(slices.Clone(log), func(e txnEntry) bool { return e.BaseOffset < from || e.BaseOffset >= upto })
	}
	a, b = cut(a), cut(b)
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || !bytes.Equal(a[i].raw, b[i].raw) {
			c.fail("brokers %d and %d differ below their high watermarks, %d, from batch %d of %d and %d on", n.id, m.id, upto, i, len(a), len(b))
		}
	}
}

// checkKnown: PAR-7, of producers, transactions, leader epochs and delays, and PAR-4 of the last stable offset.
func (n *replicaNode) checkKnown(log []txnEntry) {
	p := n.p
	want, held := newProducers(), newDelays()
	var leaders epochs
	for _, e := range log {
		n.must(nil, want.fold(&e.Header, e.raw, 0))
		n.must(nil, held.fold(&e.Header, e.raw))
		leaders = leaders.assign(e.LeaderEpoch, e.BaseOffset)
	}
	want.aborted.trim(p.LogStart())
	held.trim(p.LogStart())
	p.mu.Lock()
	defer p.mu.Unlock()
	got := plain(p.producers)
	for id, one := range got {
		one.touched = 0
		got[id] = one
	}
	if want := plain(want); !reflect.DeepEqual(got, want) {
		n.fail("broker %d knows of producers %+v\nits log says %+v", n.id, got, want)
	}
	if got, want := p.producers.aborted.entries, want.aborted.entries; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		n.fail("broker %d knows of aborted transactions %+v\nits log says %+v", n.id, got, want)
	}
	if got, want := waitingIn(p.delays), waitingIn(held); !slices.Equal(got, want) {
		n.fail("broker %d knows of delayed records %v\nits log says %v", n.id, got, want)
	}
	if got, want := n.epochsOf(*p.epochs.Load()), n.epochsOf(leaders); !slices.Equal(got, want) {
		n.fail("broker %d knows of epochs %v\nits log says %v", n.id, got, want)
	}
	if got, want := p.LastStable(), (&txnOracle{log}).stable(p.HighWatermark(), p.LogStart()); got != want {
		n.fail("broker %d has LSO %d, by its log it is %d (high watermark %d)", n.id, got, want, p.HighWatermark())
	}
}

// epochsOf are the epochs that have records in the log, and where.
func (n *replicaNode) epochsOf(e epochs) epochs {
	start := n.p.LogStart()
	e = slices.Clone(e.trim(start).truncate(n.p.end))
	if len(e) > 1 && e[1].start <= start {
		e = e[1:]
	}
	if len(e) > 0 {
		e[0].start = max(e[0].start, start)
	}
	return e
}

func waitingIn(d *delays) (all []kafka.Offset) {
	for r := range d.all {
		all = append(all, r.offset)
	}
	slices.Sort(all)
	return all
}

// checkConsumers: every replica gives consumers of both isolations what the log says, and each delayed record that was acknowledged was seen once, if it
// was due (PAR-8).
func (c *cluster) checkConsumers() {
	seen, first := map[string]int{}, kafka.Offset(0)
	for _, n := range c.nodes {
		oracle := &txnOracle{n.entries()}
		hw, start := n.p.HighWatermark(), n.p.LogStart()
		for _, i := range []Isolation{ReadUncommitted, ReadCommitted} {
			want := slices.DeleteFunc(oracle.visible(start, hw, start, i), func(at kafka.Offset) bool {
				return slices.ContainsFunc(oracle.log, func(e txnEntry) bool { return e.BaseOffset == at && e.IsControl() }) // of held records
			})
			if got := n.consume(i); !slices.Equal(got, want) {
				c.fail("broker %d gives consumers of isolation %d batches at %v, want %v", n.id, i, got, want)
			}
		}
		if n.id != c.current().Leader {
			continue
		}
		if len(oracle.log) > 0 {
			first = oracle.log[0].BaseOffset
		}
		for _, e := range oracle.log {
			if e.IsControl() {
				continue
			}
			for r, err := range record.Records(e.raw, 0) {
				n.must(nil, err)
				seen[string(r.Value)]++
			}
		}
	}
	for v, times := range seen {
		if times > 1 {
			c.fail("record %s was seen %d times", v, times)
		}
	}
	for _, a := range c.acked {
		if a.base < first {
			continue // it was deleted before this leader followed
		}
		h, _ := record.ParseHeader([]byte(a.raw))
		batch := []byte(a.raw)
		if held, ok, err := record.ParseHeld(batch, &h); err == nil && ok {
			batch = held.Batch
		}
		for r, err := range record.Records(batch, 0) {
			c.must(err)
			if seen[string(r.Value)] == 0 {
				c.fail("record %s was acknowledged at offset %d and never seen", r.Value, a.base)
			}
		}
	}
}

func (c *cluster) must(err error) {
	if err != nil {
		c.Fatal(err)
	}
}

// consume reads all there is as a client does, from this replica (KIP-392), and gives the batches that are not of aborted transactions.
func (n *replicaNode) consume(i Isolation) []kafka.Offset {
	b := &bench{TB: n.TB, Partition: n.p, fromFollower: true}
	return b.consume(n.p.LogStart(), i, 1+n.dice.IntN(1000))
}
