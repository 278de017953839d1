package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

func some[T any](v T) *T { return &v }

// Each look at a rebalance tells what changed since the last, and nothing when nothing did.
func TestWatchTellsEachChangeOnce(t *testing.T) {
	stable := &groupView{Group: "g", State: "Stable", Epoch: some(int32(3)), AssignmentEpoch: some(int32(3)), Members: []memberView{
		{ID: "a", ClientID: "c1", Host: "/h", Epoch: some(int32(3)), Assigned: assignedView{"t": {0, 1, 2}}, Target: assignedView{"t": {0, 1, 2}}},
	}}
	moving := &groupView{Group: "g", State: "Reconciling", Epoch: some(int32(4)), AssignmentEpoch: some(int32(4)), Members: []memberView{
		{ID: "a", ClientID: "c1", Host: "/h", Epoch: some(int32(3)), Assigned: assignedView{"t": {0, 1, 2}}, Target: assignedView{"t": {0, 1}}},
		{ID: "b", ClientID: "c2", Host: "/h", Epoch: some(int32(4)), Assigned: assignedView{}, Target: assignedView{"t": {2}}},
	}}
	for _, c := range []struct {
		was, is *groupView
		want    string
	}{
		{nil, stable, "group g is Stable, 1 member, epoch 3, 0 records\nmember a (c1, /h) is there, epoch 3, has t[0-2]"},
		{stable, stable, ""},
		{stable, moving, "state Stable -> Reconciling\nepoch 3 -> 4, assignment 3 -> 4\nmember a (c1, /h) is to have t[0-2] -> t[0-1]\nmember b (c2, /h) is there, epoch 4, has -"},
		{moving, stable, "state Reconciling -> Stable\nepoch 4 -> 3, assignment 4 -> 3\nmember a (c1, /h) is to have t[0-1] -> t[0-2]\nmember b (c2, /h) is gone, had -"},
	} {
		if got := strings.Join(groupChanges(c.was, c.is), "\n"); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
	x := explainRebalance(moving)
	got := x.Findings[1].Text + "; " + x.Findings[2].Text
	if want := "is at epoch 3 of 4, has to give up t[2]; is to get t[2], which waits for a (c1, /h)"; got != want {
		t.Errorf("explained as %q, want %q", got, want)
	}
}

// Watching a group prints lines until it is interrupted, which is success.
func TestWatchEndsWhenInterrupted(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	s.must("group seek g --topic t --to-latest")
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"group", "describe", "g", "--watch", "--interval", "100ms"}, streams{nil, w, io.Discard, func(k string) string { return s.env[k] }})
	}()
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil || !bytes.Contains(line[:n], []byte("group g is Empty, 0 members")) {
		t.Fatalf("%q, %v", line[:n], err)
	}
	interrupt()
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit code %d", c)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not end")
	}
}

func TestRangesOfPartitions(t *testing.T) {
	for want, v := range map[string]assignedView{
		"-": {}, "t[0]": {"t": {0}}, "t[0-1]": {"t": {1, 0}}, "a[7] t[0-2,5,8-9]": {"t": {9, 8, 5, 2, 1, 0}, "a": {7}, "empty": {}},
	} {
		if got := v.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestSpansOfTime(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"PT1H30M": 90 * time.Minute, "P7D": 7 * 24 * time.Hour, "P1W": 7 * 24 * time.Hour, "P1DT1S": 24*time.Hour + time.Second, "PT0.5S": 500 * time.Millisecond,
		"90m": 90 * time.Minute, "0s": 0,
	} {
		if got, err := parseSpan(s); err != nil || got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "P", "PT", "P1Y", "-1h", "1H", "PT1", "P999999W"} {
		if got, err := parseSpan(s); err == nil {
			t.Errorf("%q is accepted as %s", s, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 1234567: "1ms", 3456 * time.Millisecond: "3.5s", 125 * time.Second: "2m5s", 168 * time.Hour: "7d", 60 * time.Hour: "2d12h", 47 * time.Hour: "47h0m0s",
	} {
		if got := spanText(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

// What is exported can be read again, and no file makes the reader panic.
func FuzzOffsetFile(f *testing.F) {
	for _, s := range []string{"t,0,5\n", "g,t,0,5\nother,t,1,9\n", "group,topic,partition,offset\ng,t,1,2", "\"t\",0,1\n# note\n\n", "t,0,5\nt,0,6", "t,-1,5", "t,0", "\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		offsets, err := parseOffsetFile(strings.NewReader(s), "g")
		if err != nil {
			return
		}
		for tp, at := range offsets {
			if tp.topic == "" || tp.partition < 0 || at < 0 {
				t.Errorf("%q gives %v at %d", s, tp, at)
			}
		}
	})
}

// Whose coordinator still means to end it does not hang; everybody else's does.
func TestHangingTransactions(t *testing.T) {
	in := make(kadm.TopicsSet)
	in.Add("t", 0)
	o := openTxn{Topic: "t", Partition: 0, ProducerID: 7, ProducerEpoch: 3}
	for _, c := range []struct {
		d     kadm.DescribedTransaction
		known bool
		want  string
	}{
		{kadm.DescribedTransaction{}, false, "no coordinator knows the producer"},
		{kadm.DescribedTransaction{TxnID: "x", State: "Ongoing", ProducerEpoch: 3, Topics: in}, true, ""},
		{kadm.DescribedTransaction{TxnID: "x", State: "PrepareAbort", ProducerEpoch: 4, Topics: in}, true, ""},
		{kadm.DescribedTransaction{TxnID: "x", State: "Ongoing", ProducerEpoch: 4, Topics: in}, true, "x has epoch 4 by now"},
		{kadm.DescribedTransaction{TxnID: "x", State: "PrepareAbort", ProducerEpoch: 5, Topics: in}, true, "x has epoch 5 by now"},
		{kadm.DescribedTransaction{TxnID: "x", State: "Ongoing", ProducerEpoch: 3}, true, "the transaction of x (Ongoing) is without this partition"},
		{kadm.DescribedTransaction{TxnID: "x", State: "CompleteCommit", ProducerEpoch: 3, Topics: in}, true, "the transaction of x is over (CompleteCommit)"},
		{kadm.DescribedTransaction{TxnID: "x", State: "Empty", ProducerEpoch: 4}, true, "the transaction of x is over (Empty)"},
	} {
		if got := whyHanging(o, c.d, c.known); got != c.want {
			t.Errorf("%s, epoch %d: %q, want %q", c.d.State, c.d.ProducerEpoch, got, c.want)
		}
	}
}

// The reason for a lag is told from two looks.
func TestLagIsExplained(t *testing.T) {
	at := func(committed, start, end int64, client string) *groupOffset {
		lag := max(0, end-max(committed, start))
		o := &groupOffset{Topic: "t", Committed: &committed, Start: &start, End: &end, Lag: &lag, ClientID: client}
		if client != "" {
			o.Member = "m"
		}
		return o
	}
	for _, c := range []struct {
		was, is *groupOffset
		members bool
		lso     int64
		want    string
	}{
		{at(5, 0, 5, "c"), at(5, 0, 5, "c"), true, 5, ""},
		{at(2, 4, 9, ""), at(2, 4, 9, ""), false, 9, "2 records that it had not consumed are deleted already (the log starts at 4, it is at 2); 5 records"},
		{at(5, 0, 9, "c"), at(5, 0, 9, "c"), true, 5, "4 records; an open transaction holds back everything from offset 5"},
		{at(5, 0, 9, ""), at(5, 0, 9, ""), true, 9, "4 records; no member has it"},
		{at(5, 0, 9, "c"), at(5, 0, 9, "c"), true, 9, "4 records; c committed nothing in 2s and nothing was written"},
		{at(5, 0, 7, "c"), at(5, 0, 9, "c"), true, 9, "4 records; c committed nothing in 2s while 2 records were written"},
		{at(0, 0, 20, "c"), at(10, 0, 40, "c"), true, 40, "30 records; c consumes 5/s, producers write 10/s: it does not catch up"},
		{at(0, 0, 40, "c"), at(10, 0, 40, "c"), true, 40, "30 records; c consumes 5/s, producers write 0/s: it catches up in about 6s"},
	} {
		got := explainPartitionLag(c.was, c.is, c.members, 2*time.Second, c.lso, true)
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// The rules of a topic and the age of its oldest record explain where its log starts.
func TestRetentionIsExplained(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	rules := retentionRules{policy: "delete", age: time.Hour, bytes: -1, segmentAge: 24 * time.Hour, segmentBytes: 1 << 30}
	for _, c := range []struct {
		l    keptLog
		want string
	}{
		{keptLog{partitionLog: partitionLog{start: 0, end: 0}}, "nothing was ever written"},
		{keptLog{partitionLog: partitionLog{start: 9, end: 9}}, "empty: everything before offset 9 is deleted"},
		{keptLog{partitionLog: partitionLog{start: 0, end: 9}, bytes: 2048, oldest: now.Add(-3 * time.Hour)}, "nothing is deleted from its start, it has offsets 0 to 8, 2.0 KiB, the oldest record is 3h0m0s old: longer than retention.ms by 2h0m0s, because"},
		{keptLog{partitionLog: partitionLog{start: 4, end: 9}, bytes: -1, oldest: now.Add(-20 * time.Minute)}, "everything before offset 4 is deleted, by retention or by `rafka topic trim`; it has offsets up to 8, the oldest record is 20m0s old; it may go in 40m0s at the earliest"},
	} {
		if got := explainKept(c.l, rules, true, false, now); !strings.HasPrefix(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	x := explainRetention("t", retentionRules{policy: "compact", age: time.Hour, bytes: -1, tombs: 24 * time.Hour}, nil, now)
	if len(x.Findings) != 1 || !strings.HasPrefix(x.Findings[0].Text, "t is compacted: of each key the last record stays") {
		t.Errorf("%+v", x.Findings)
	}
}

// The broker itself tells the lag of a group, in records and in seconds, from its own logs.
func TestBrokerTellsLags(t *testing.T) {
	b := rafkatest.Start(t, rafka.WithHTTPAddr("127.0.0.1:0"))
	s := &shell{t: t, env: map[string]string{"RAFKA_BROKERS": b.Addr}}
	s.must("topic create t -p 2")
	s.must("produce t -q -p 0 -m old -m new --timestamp -1h -z gzip")
	s.must("group seek g --topic t --to-earliest")
	resp, err := http.Get("http://" + b.Server.HTTPAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`rafka_groups{state="Empty",type="classic"} 1`,
		`kafka_consumergroup_members{consumergroup="g"} 0`,
		`kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="t"} 0`,
		`kafka_consumergroup_lag{consumergroup="g",partition="0",topic="t"} 2`,
		`kafka_consumergroup_group_lag_seconds{consumergroup="g",partition="0",topic="t"} 360`, // 3600 and what the test took
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %s in\n%s", want, regexp.MustCompile(`(?m)^(kafka_consumergroup|rafka_groups).*`).FindAll(page, -1))
		}
	}
}

// CLI-5: what --dry-run shows is not done.
func TestDryRunChangesNothing(t *testing.T) {
	s := newShell(t)
	s.must("topic create t dead")
	s.must("produce t -q -m x")
	s.must("produce dead -q -m y -H __dlq.errors.topic=t")
	before := s.must("topic describe t dead --format json")
	s.must("group seek g --topic t --to-latest --dry-run")
	s.must("queue redrive dead --dry-run")
	if got := s.must("group list --format json"); got != "[]\n" {
		t.Errorf("there are groups: %s", got)
	}
	if after := s.must("topic describe t dead --format json"); after != before {
		t.Errorf("the topics changed from\n%s\nto\n%s", before, after)
	}
}
