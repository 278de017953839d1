package txn

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// startAt makes an id whose producer is at an epoch, as if it had been used for long.
func (b *bench) startAt(id string, epoch kafka.ProducerEpoch) {
	b.run(func(op *coordinator.Op) {
		op.Emit(Record{ID: id, Transaction: &Transaction{
			ProducerID: firstID, PreviousID: firstID, NextID: kafka.NoProducer, NextEpoch: noEpoch, Epoch: epoch, LastEpoch: noEpoch,
			Timeout: 60_000, Started: kafka.NoTimestamp, Updated: kafka.Timestamp(b.now.UnixMilli()), ClientVersion: Version2,
		}})
	})
	b.commit()
}

func TestEpochsUsedUpByTransactionsGiveANewProducer(t *testing.T) {
	b := newBench(t)
	b.startAt("app", math.MaxInt16-2)
	for step, want := range []struct {
		newID kafka.ProducerID
		next  coordinator.Producer
	}{
		{kafka.NoProducer, at(math.MaxInt16 - 1)},
		{4321, coordinator.Producer{ID: 4321, Epoch: 0}},
		{kafka.NoProducer, coordinator.Producer{ID: 4321, Epoch: 1}},
	} {
		p := b.state("app").owner()
		must(b, b.askAdd("app", p, Version2, tp("orders", 0)))
		a := must(b, b.askEnd("app", p, 5, true, want.newID))
		if got := producer(a.ProducerID, a.ProducerEpoch); a.ErrorCode != 0 || got != want.next {
			t.Fatalf("step %d: %v, next producer %v, want %v", step, kafka.ErrorCode(a.ErrorCode), got, want.next)
		}
		// The next transaction may be asked for at once with the new producer, and a repeat of the end is known before and after.
		add := b.askAdd("app", want.next, Version2, tp("orders", 1))
		repeat := b.askEnd("app", p, 5, true, 5555)
		b.writeMarkers()
		if c, _, ok := answered(add); !ok || c != kafka.None {
			t.Errorf("step %d: the next transaction gets %v", step, c)
		}
		if a, _, ok := answered(repeat); !ok || a.ErrorCode == int16(kafka.InvalidTxnState) {
			t.Errorf("step %d: the repeat gets %v", step, a)
		}
		b.askEnd("app", want.next, 4, false, kafka.NoProducer)
		b.writeMarkers()
	}
}

func TestRepeatOfTheLastEpochsEndIsKnown(t *testing.T) {
	b := newBench(t)
	b.startAt("app", lastUsable)
	must(b, b.askAdd("app", at(lastUsable), Version2, tp("orders", 0)))
	for _, when := range []string{"first", "while prepared", "when complete", "after a load"} {
		r := b.askEnd("app", at(lastUsable), 5, true, 4321)
		if when == "while prepared" {
			b.writeMarkers()
		}
		if a := must(b, r); a.ErrorCode != 0 || a.ProducerID != 4321 || a.ProducerEpoch != 0 {
			t.Errorf("%s: %+v", when, a)
		}
		if when == "when complete" {
			b.crash(0)
		}
	}
}

// TXN-6, T7
func TestProducerFencedAtTheEndOfItsEpochsStaysFenced(t *testing.T) {
	b := newBench(t)
	b.startAt("app", lastUsable)
	must(b, b.askAdd("app", at(lastUsable), Version2, tp("orders", 0)))
	b.advance(time.Minute)
	for _, markers := range []bool{false, true} {
		if markers {
			b.writeMarkers()
		}
		for _, commit := range []bool{true, false} {
			if a := must(b, b.askEnd("app", at(lastUsable), 5, commit, 1)); a.ErrorCode != int16(kafka.ProducerFenced) {
				t.Errorf("markers written: %v, commit: %v: %v", markers, commit, kafka.ErrorCode(a.ErrorCode))
			}
		}
		if a := must(b, b.askInit("app", 5, at(lastUsable), 1)); a.ErrorCode != int16(kafka.ProducerFenced) {
			t.Errorf("markers written: %v: init: %v", markers, kafka.ErrorCode(a.ErrorCode))
		}
	}
	if p := b.initialized("app", 4321); p.ID != 4321 || p.Epoch != 0 {
		t.Errorf("the next instance is %v", p)
	}
}

func TestInitProducerIdRefusesWhatMakesNoSense(t *testing.T) {
	b := newBench(t)
	ask := func(change func(*kmsg.InitProducerIDRequest)) kafka.ErrorCode {
		q := kmsg.NewPtrInitProducerIDRequest()
		id := "app"
		q.Version, q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = 5, &id, 1000, -1, -1
		change(q)
		later := coordinator.NewReply[*kmsg.InitProducerIDResponse]()
		b.run(func(op *coordinator.Op) { b.shard.InitProducerID(op, q, 1, later) })
		return kafka.ErrorCode(must(b, later).ErrorCode)
	}
	empty := ""
	for name, c := range map[string]struct {
		change func(*kmsg.InitProducerIDRequest)
		want   kafka.ErrorCode
	}{
		"fine":                     {func(*kmsg.InitProducerIDRequest) {}, kafka.None},
		"no id":                    {func(q *kmsg.InitProducerIDRequest) { q.TransactionalID = nil }, kafka.InvalidRequest},
		"empty id":                 {func(q *kmsg.InitProducerIDRequest) { q.TransactionalID = &empty }, kafka.InvalidRequest},
		"producer without epoch":   {func(q *kmsg.InitProducerIDRequest) { q.ProducerID = 4 }, kafka.InvalidRequest},
		"epoch without producer":   {func(q *kmsg.InitProducerIDRequest) { q.ProducerEpoch = 4 }, kafka.InvalidRequest},
		"no time-out":              {func(q *kmsg.InitProducerIDRequest) { q.TransactionTimeoutMillis = 0 }, kafka.InvalidTransactionTimeout},
		"negative time-out":        {func(q *kmsg.InitProducerIDRequest) { q.TransactionTimeoutMillis = -1 }, kafka.InvalidTransactionTimeout},
		"longest time-out":         {func(q *kmsg.InitProducerIDRequest) { q.TransactionTimeoutMillis = 900_000 }, kafka.None},
		"time-out that's too long": {func(q *kmsg.InitProducerIDRequest) { q.TransactionTimeoutMillis = 900_001 }, kafka.InvalidTransactionTimeout},
	} {
		if got := ask(c.change); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	b := newBench(t)
	b.decided(5, true)
	var kept []*coordinator.Reply[kafka.ErrorCode]
	for range maxWaitersOf {
		kept = append(kept, b.askAdd("app", at(6), Version2, tp("orders", 0)))
		b.advance(time.Millisecond)
	}
	if c := must(b, b.askAdd("app", at(6), Version2, tp("orders", 0))); c != kafka.ConcurrentTransactions {
		t.Errorf("one more than %d: %v", maxWaitersOf, c)
	}
	b.advance(maxWait - time.Duration(maxWaitersOf)*time.Millisecond)
	b.commit()
	if c, _, ok := answered(kept[0]); !ok || c != kafka.ConcurrentTransactions {
		t.Errorf("the first after %v: %v, answered: %v", maxWait, c, ok)
	}
	if _, _, ok := answered(kept[1]); ok {
		t.Error("the second, which came a moment later, has an answer already")
	}
	b.advance(time.Second)
	b.commit()
	for i, r := range kept {
		if c, _, ok := answered(r); !ok || c != kafka.ConcurrentTransactions {
			t.Errorf("%d: %v, answered: %v", i, c, ok)
		}
	}
	if n := b.shard.waiters.Get(); n != 0 {
		t.Errorf("%d are still counted", n)
	}
	if _, ok := b.timers[waitKey("app")]; ok {
		t.Error("the timer is left")
	}
}

func TestFailedOperationLeavesWaitersWhereTheyWere(t *testing.T) {
	b := newBench(t)
	b.decided(5, true)
	add := b.askAdd("app", at(6), Version2, tp("orders", 0))
	b.commit()
	m := b.effects[len(b.effects)-1]
	b.failNext = true
	b.run(func(op *coordinator.Op) { b.shard.MarkersWritten(op, m.ID, m.Producer) })
	if n := b.shard.waiters.Get(); n != 1 {
		t.Errorf("%d wait after the operation was taken back, want 1", n)
	}
	if _, err, ok := answered(add); !ok || err == nil {
		t.Error("who was answered in the operation that failed gets no error")
	}
	b.writeMarkers()
	if s := b.state("app").State; !s.isIdle() && s != Ongoing {
		t.Errorf("it stays %v", s)
	}
}

// TXN-6
func TestTimeoutSurvivesALoad(t *testing.T) {
	b := newBench(t)
	p := b.initialized("app", 1)
	must(b, b.askAdd("app", p, Version1, tp("orders", 0)))
	b.advance(40 * time.Second)
	b.crash(0)
	b.advance(19 * time.Second)
	if s := b.state("app").State; s != Ongoing {
		t.Fatalf("aborted early: %v", s)
	}
	b.advance(time.Second)
	if s := b.state("app").State; s != PrepareAbort {
		t.Fatalf("still %v", s)
	}
	if a := must(b, b.askEnd("app", p, 1, true, 0)); a.ErrorCode != int16(kafka.InvalidProducerEpoch) {
		t.Errorf("the commit of the producer that was too slow gets %v", kafka.ErrorCode(a.ErrorCode))
	}
}

func TestTimeoutIsForTheTransactionItWasSetFor(t *testing.T) {
	b := newBench(t)
	p := b.initialized("app", 1)
	for range 5 {
		must(b, b.askAdd("app", p, Version1, tp("orders", 0)))
		b.advance(30 * time.Second)
		if a := must(b, b.askEnd("app", p, 4, true, 0)); a.ErrorCode != 0 {
			t.Fatal(kafka.ErrorCode(a.ErrorCode))
		}
		b.writeMarkers()
	}
}

func TestIdleIDsAreForgotten(t *testing.T) {
	b := newBench(t)
	b.initialized("idle", 1)
	open := b.initialized("open", 2)
	b.advance(testOptions().Expiration - 30*time.Minute)
	b.initialized("young", 3)
	must(b, b.askAdd("open", open, Version2, tp("orders", 0)))
	b.advance(90 * time.Minute)
	b.commit()
	if b.state("idle") != nil || b.state("young") == nil || b.state("open") == nil {
		t.Errorf("idle %v, young %v, open %v", b.state("idle"), b.state("young"), b.state("open"))
	}
	b.crash(0)
	if b.state("idle") != nil {
		t.Error("it is back after a load")
	}
	if p := b.initialized("idle", 9); p.ID != 9 {
		t.Errorf("the id comes back as %v", p)
	}
}

func TestLoadedStateIsTheOneThatWas(t *testing.T) {
	// COR-3 for this shard: the fold of the records is the state, whatever led to it.
	for _, start := range starts {
		b := newBench(t)
		start.make(b)
		before := b.state("app")
		b.crash(0)
		if after := b.state("app"); !reflect.DeepEqual(after, before) {
			t.Errorf("%s: %+v became %+v", start.name, before, after)
		}
	}
}

func TestMoreNewIDsThanTheLimitAreRefused(t *testing.T) {
	b := newBench(t)
	b.shard.limit = 2
	b.initialized("a", 1)
	b.initialized("b", 2)
	if a := must(b, b.askInit("c", 5, nobody, 3)); a.ErrorCode != int16(kafka.CoordinatorNotAvailable) {
		t.Error(kafka.ErrorCode(a.ErrorCode))
	}
	b.initialized("a", 4)
}

func TestTransactionThatOutgrowsItsRecordIsRefused(t *testing.T) {
	b := newBench(t)
	p := b.initialized("app", 1)
	var many []kafka.TopicPartition
	for i := range int32(4000) {
		many = append(many, tp(strings.Repeat("x", 240)+fmt.Sprint(i), 0))
	}
	if c := must(b, b.askAdd("app", p, Version2, many...)); c != kafka.TransactionAbortable {
		t.Errorf("a record of more than %d bytes: %v", maxValue, c)
	}
	if c := must(b, b.askAdd("app", p, Version2, many[:3000]...)); c != kafka.None {
		t.Error(c)
	}
	value, _ := Record{ID: "app", Transaction: b.state("app")}.AppendValue(nil)
	if len(value) > b.state("app").valueSize() || len(value) > maxValue {
		t.Errorf("%d bytes, estimated %d", len(value), b.state("app").valueSize())
	}
}

func TestReadsSeeWhatIsCommitted(t *testing.T) {
	b := newBench(t)
	p := b.initialized("app", 1)
	b.askAdd("app", p, Version2, tp("orders", 0))
	if c := b.shard.VerifyPartitions(b.view(), "app", p, []kafka.TopicPartition{tp("orders", 0)}); c[0] != kafka.TransactionAbortable {
		t.Errorf("a partition whose adding is not committed is verified: %v", c)
	}
	if d := b.shard.DescribeTransaction(b.view(), "app"); d.State != "Empty" {
		t.Errorf("described as %v", d.State)
	}
	b.commit()
	if c := b.shard.VerifyPartitions(b.view(), "app", p, []kafka.TopicPartition{tp("orders", 0)}); c[0] != kafka.None {
		t.Error(c)
	}
	d := b.shard.DescribeTransaction(b.view(), "app")
	if d.State != "Ongoing" || d.ProducerID != 1 || d.TimeoutMillis != 60_000 || d.StartTimestamp != b.now.UnixMilli() || len(d.Topics) != 1 {
		t.Errorf("%+v", d)
	}
	if d := b.shard.DescribeTransaction(b.view(), "who"); d.ErrorCode != int16(kafka.TransactionalIDNotFound) {
		t.Error(d.ErrorCode)
	}
	if d := b.shard.DescribeTransaction(b.view(), ""); d.ErrorCode != int16(kafka.InvalidRequest) {
		t.Error(d.ErrorCode)
	}
}

func TestListFilters(t *testing.T) {
	b := newBench(t)
	for i, id := range []string{"pay-1", "pay-2", "mail"} {
		b.initialized(id, kafka.ProducerID(10+i))
	}
	must(b, b.askAdd("pay-2", coordinator.Producer{ID: 11}, Version2, tp("orders", 0)))
	b.advance(10 * time.Second)
	pattern := func(p string) *string { return &p }
	for _, c := range []struct {
		name string
		req  kmsg.ListTransactionsRequest
		want string
	}{
		{"all", kmsg.ListTransactionsRequest{DurationFilterMillis: -1}, "mail pay-1 pay-2"},
		{"state", kmsg.ListTransactionsRequest{StateFilters: []string{"Ongoing"}, DurationFilterMillis: -1}, "pay-2"},
		{"states are exact", kmsg.ListTransactionsRequest{StateFilters: []string{"ongoing"}, DurationFilterMillis: -1}, "unknown [ongoing]"},
		{"producer", kmsg.ListTransactionsRequest{ProducerIDFilters: []int64{12, 99}, DurationFilterMillis: -1}, "mail"},
		{"longer than", kmsg.ListTransactionsRequest{DurationFilterMillis: 9_999}, "pay-2"},
		{"as long as is not longer", kmsg.ListTransactionsRequest{DurationFilterMillis: 10_000}, ""},
		{"longest", kmsg.ListTransactionsRequest{DurationFilterMillis: math.MaxInt64}, ""},
		{"pattern is for the whole id", kmsg.ListTransactionsRequest{TransactionalIDPattern: pattern("pay"), DurationFilterMillis: -1}, ""},
		{"pattern", kmsg.ListTransactionsRequest{TransactionalIDPattern: pattern("pay-1|mail"), DurationFilterMillis: -1}, "mail pay-1"},
		{"empty pattern", kmsg.ListTransactionsRequest{TransactionalIDPattern: pattern(""), DurationFilterMillis: -1}, "mail pay-1 pay-2"},
		{"no pattern", kmsg.ListTransactionsRequest{TransactionalIDPattern: pattern("("), DurationFilterMillis: -1}, "INVALID_REGULAR_EXPRESSION"},
		{"brackets that leave the group", kmsg.ListTransactionsRequest{TransactionalIDPattern: pattern("a)|(mail"), DurationFilterMillis: -1}, "INVALID_REGULAR_EXPRESSION"},
		{"long pattern", kmsg.ListTransactionsRequest{TransactionalIDPattern: pattern(strings.Repeat("a", 1001)), DurationFilterMillis: -1}, "INVALID_REGULAR_EXPRESSION"},
	} {
		f, err := NewFilter(&c.req)
		got := ""
		switch {
		case err != nil:
			got = kafka.CodeOf(err).Name()
		case len(f.UnknownStates) > 0:
			got = fmt.Sprint("unknown ", f.UnknownStates)
		default:
			var ids []string
			for _, s := range b.shard.ListTransactions(b.view(), f) {
				ids = append(ids, s.TransactionalID)
			}
			got = strings.Join(ids, " ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
