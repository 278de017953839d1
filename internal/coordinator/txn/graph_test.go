package txn

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// golden compares with a file under testdata, or writes it with RAFKA_REWRITE=1.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("RAFKA_REWRITE") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (RAFKA_REWRITE=1 writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (RAFKA_REWRITE=1 writes it anew):\n%s", path, firstDifference(got, want))
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			w = append(w, "")
			return fmt.Sprintf("line %d\n got  %s\n want %s", i+1, g[i], w[min(i, len(w)-1)])
		}
	}
	return "it is shorter"
}

// starts bring an id into each state. Before a decision the producer is (1000, 5); version 2 then raises the epoch.
var starts = []struct {
	name string
	make func(b *bench)
}{
	{"unknown", func(*bench) {}},
	{"Empty", func(b *bench) { b.at5() }},
	{"Ongoing", func(b *bench) { b.at5(); must(b, b.askAdd("app", at(5), Version2, tp("orders", 0))) }},
	{"PrepareCommit v1", func(b *bench) { b.decided(4, true) }},
	{"PrepareAbort v1", func(b *bench) { b.decided(4, false) }},
	{"CompleteCommit v1", func(b *bench) { b.decided(4, true); b.writeMarkers() }},
	{"CompleteAbort v1", func(b *bench) { b.decided(4, false); b.writeMarkers() }},
	{"PrepareCommit v2", func(b *bench) { b.decided(5, true) }},
	{"PrepareAbort v2", func(b *bench) { b.decided(5, false) }},
	{"CompleteCommit v2", func(b *bench) { b.decided(5, true); b.writeMarkers() }},
	{"CompleteAbort v2", func(b *bench) { b.decided(5, false); b.writeMarkers() }},
	{"PrepareAbort after its time-out", func(b *bench) {
		b.at5()
		must(b, b.askAdd("app", at(5), Version2, tp("orders", 0)))
		b.advance(time.Minute)
		b.commit()
	}},
}

const firstID = 1000

func at(epoch kafka.ProducerEpoch) coordinator.Producer {
	return coordinator.Producer{ID: firstID, Epoch: epoch}
}

// at5 makes the producer (1000, 5), whose epoch before was 4.
func (b *bench) at5() {
	for range 5 {
		b.initialized("app", firstID)
	}
	a := must(b, b.askInit("app", 5, at(4), firstID))
	if a.ProducerEpoch != 5 {
		b.t.Fatalf("epoch is %d", a.ProducerEpoch)
	}
}

func (b *bench) decided(version int16, commit bool) {
	b.at5()
	add := Version1
	if version >= 5 {
		add = Version2
	}
	must(b, b.askAdd("app", at(5), add, tp("orders", 0), tp("orders", 1)))
	if a := must(b, b.askEnd("app", at(5), version, commit, kafka.NoProducer)); a.ErrorCode != 0 {
		b.t.Fatal(kafka.ErrorCode(a.ErrorCode))
	}
}

// TestGraph asks every request in every state; the answers, records and effects are in testdata/graph.txt. TXN-1, TXN-3, TXN-5
func TestGraph(t *testing.T) {
	var out bytes.Buffer
	for _, start := range starts {
		b := newBench(t)
		start.make(b)
		fmt.Fprintf(&out, "== %s: %s\n", start.name, describe(b.state("app")))
		for _, q := range requests() {
			b := newBench(t)
			start.make(b)
			b.effects = nil
			fmt.Fprintf(&out, "%-34s %s\n", q.name, b.observe(q.ask))
		}
	}
	golden(t, "graph.txt", out.Bytes())
}

type request struct {
	name string
	ask  func(b *bench) (answer func() string)
}

func requests() (list []request) {
	for _, e := range []kafka.ProducerEpoch{4, 5, 6} {
		p := at(e)
		for _, v := range []int16{Version1, Version2} {
			list = append(list, request{fmt.Sprintf("add v%d epoch %d", v, e), func(b *bench) func() string {
				r := b.askAdd("app", p, v, tp("orders", 0), tp("payments", 2))
				return func() string { return answer(r, func(c kafka.ErrorCode) string { return c.Name() }) }
			}})
		}
		for _, v := range []int16{4, 5} {
			for _, commit := range []bool{true, false} {
				list = append(list, request{fmt.Sprintf("%s v%d epoch %d", map[bool]string{true: "commit", false: "abort"}[commit], v, e), func(b *bench) func() string {
					r := b.askEnd("app", p, v, commit, kafka.NoProducer)
					return func() string { return answer(r, endAnswer) }
				}})
			}
		}
		list = append(list, request{fmt.Sprintf("init v5 epoch %d", e), func(b *bench) func() string { return b.observeInit(5, p) }})
		list = append(list, request{fmt.Sprintf("verify epoch %d", e), func(b *bench) func() string {
			codes := b.shard.VerifyPartitions(b.view(), "app", p, []kafka.TopicPartition{tp("orders", 0), tp("orders", 9)})
			return func() string { return fmt.Sprint(codes) }
		}})
		list = append(list, request{fmt.Sprintf("markers written epoch %d", e), func(b *bench) func() string {
			b.run(func(op *coordinator.Op) { b.shard.MarkersWritten(op, "app", p) })
			return func() string { return "" }
		}})
	}
	stranger := coordinator.Producer{ID: 77, Epoch: 5}
	return append(list,
		request{"add by another producer id", func(b *bench) func() string {
			r := b.askAdd("app", stranger, Version2, tp("orders", 0))
			return func() string { return answer(r, func(c kafka.ErrorCode) string { return c.Name() }) }
		}},
		request{"commit v1 epoch 4", func(b *bench) func() string {
			r := b.askEnd("app", at(4), 1, true, kafka.NoProducer)
			return func() string { return answer(r, endAnswer) }
		}},
		request{"commit v5 by another producer id", func(b *bench) func() string {
			r := b.askEnd("app", stranger, 5, true, kafka.NoProducer)
			return func() string { return answer(r, endAnswer) }
		}},
		request{"init v5 by another producer id", func(b *bench) func() string { return b.observeInit(5, stranger) }},
		request{"init v3 by another producer id", func(b *bench) func() string { return b.observeInit(3, stranger) }},
		request{"init of a new instance", func(b *bench) func() string { return b.observeInit(5, nobody) }},
		request{"a minute passes", func(b *bench) func() string { b.advance(time.Minute); return func() string { return "" } }},
		request{"eight days pass", func(b *bench) func() string { b.advance(8 * 24 * time.Hour); return func() string { return "" } }},
		request{"a load", func(b *bench) func() string { b.crash(0); return func() string { return "" } }},
	)
}

func (b *bench) observeInit(version int16, p coordinator.Producer) func() string {
	r := b.askInit("app", version, p, 2000)
	return func() string {
		return answer(r, func(a *kmsg.InitProducerIDResponse) string {
			return fmt.Sprintf("%s %d/%d", kafka.ErrorCode(a.ErrorCode).Name(), a.ProducerID, a.ProducerEpoch)
		})
	}
}

func endAnswer(a *kmsg.EndTxnResponse) string {
	return fmt.Sprintf("%s %d/%d", kafka.ErrorCode(a.ErrorCode).Name(), a.ProducerID, a.ProducerEpoch)
}

func answer[A any](r *coordinator.Reply[A], show func(A) string) string {
	a, err, ok := answered(r)
	switch {
	case !ok:
		return "waits"
	case err != nil:
		return err.Error()
	}
	return show(a)
}

// observe asks, commits, has the markers written, and tells what happened at each step.
func (b *bench) observe(ask func(*bench) func() string) string {
	from := len(b.log)
	show := ask(b)
	if _, _, waits := strings.Cut(show(), "waits"); waits && len(b.pending) == 0 {
		b.t.Error("an answer that nothing waits for")
	}
	b.commit()
	text := show() + b.since(&from)
	if len(b.effects) > 0 {
		m := b.effects[0]
		text += fmt.Sprintf(" | markers of %d/%d commit=%v v%d by %d to %v", m.Producer.ID, m.Producer.Epoch, m.Commit, m.Version, m.CoordinatorEpoch, m.Partitions)
	}
	waited := strings.HasPrefix(text, "waits")
	if t := b.state("app"); waited && t != nil && t.State.isPrepared() && len(b.effects) == 0 {
		b.effects = append(b.effects, SendMarkers{ID: "app", Producer: coordinator.Producer{ID: t.ProducerID, Epoch: t.Epoch}})
	}
	if waited {
		b.writeMarkers()
		text += " | markers written: " + show() + b.since(&from)
	}
	return strings.TrimSpace(text)
}

func (b *bench) since(from *int) string {
	text := ""
	for _, l := range b.log[min(*from, len(b.log)):] {
		r, err := Decode(l.key, l.value)
		if err != nil {
			b.t.Fatal(err)
		}
		text += " → " + describe(r.(Record).Transaction)
	}
	*from = len(b.log)
	return text
}

func describe(t *Transaction) string {
	if t == nil {
		return "nothing"
	}
	s := fmt.Sprintf("%v %d/%d", t.State, t.ProducerID, t.Epoch)
	if t.NextID != kafka.NoProducer {
		s += fmt.Sprintf(" next %d", t.NextID)
	}
	if t.LastEpoch != noEpoch {
		s += fmt.Sprintf(" last %d", t.LastEpoch)
	}
	if len(t.Partitions) > 0 {
		s += fmt.Sprint(" ", t.Partitions)
	}
	return s
}
