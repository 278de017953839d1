package sim

import (
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// client is somebody who uses the cluster.
type client interface {
	start()
	// atRest says what the client still waits for, once the world is calm; "": nothing.
	atRest() string
	// finally checks what only the client knows.
	finally()
}

// machine is where a client runs, and what it knows of the cluster.
type machine struct {
	*endpoint
	leaders map[kafka.TopicPartition]*node // as it was told last; looked up only
	values  int
}

func (w *world) newMachine(name string) *machine {
	e := &endpoint{w: w, index: len(w.ends), name: name, up: true, life: 1}
	w.ends = append(w.ends, e)
	return &machine{endpoint: e, leaders: map[kafka.TopicPartition]*node{}}
}

// leader gives fn who leads a partition, as this client was told last; if it does not know, it asks somebody, until it does.
func (m *machine) leader(tp kafka.TopicPartition, fn func(*node)) {
	if n := m.leaders[tp]; n != nil {
		fn(n)
		return
	}
	to := pick(m.w, m.w.nodes)
	call(m.endpoint, to, request{what: "metadata", patience: 300 * time.Millisecond}, func(reply func(kafka.BrokerID, error)) {
		_, p, ok := to.img.Partition(tp)
		if !ok || p.Leader == kafka.NoBroker {
			reply(kafka.NoBroker, kafka.LeaderNotAvailable)
			return
		}
		reply(p.Leader, nil)
	}, func(id kafka.BrokerID, err error) {
		if err != nil {
			m.after(m.w.between(10*time.Millisecond, 100*time.Millisecond), func() { m.leader(tp, fn) })
			return
		}
		m.leaders[tp] = m.w.nodes[id-1]
		fn(m.w.nodes[id-1])
	})
}

// forget has the client ask again.
func (m *machine) forget(tp kafka.TopicPartition) { delete(m.leaders, tp) }

// value is a record's value that is like no other.
func (m *machine) value() string {
	m.values++
	return fmt.Sprintf("%s.%d", m.name, m.values)
}

// batch builds a batch of so many records.
func (m *machine) batch(o record.BatchOptions, n int) []byte {
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = record.Record{Value: []byte(m.value()), Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(epoch.UnixMilli())}
	}
	raw, err := record.Build(nil, o, recs)
	if err != nil {
		m.w.fail("%v", err)
	}
	return raw
}

func crcOf(raw []byte) uint32 {
	h, _ := record.ParseHeader(raw)
	return h.CRC
}
