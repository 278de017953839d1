package textsrv

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Only what was acquired is given out, and offsets that compaction has emptied are told to the broker, or the queue would stop there.
func TestDeliveryFindsGaps(t *testing.T) {
	raw, err := record.Build(nil, record.PlainOptions(), []record.Record{
		{Offset: 0, Value: []byte("a")}, {Offset: 1, Value: []byte("b")}, {Offset: 4, Value: []byte("c")}, {Offset: 7, Value: []byte("d")}, {Offset: 9, Value: []byte("e")},
	})
	if err != nil {
		t.Fatal(err)
	}
	record.Stamp(raw, 100, 0)
	_, s, c := start(t, Options{})
	conn := newConnection(t.Context(), s, c.conn, nil)
	at := func(first, last int64) kmsg.ShareFetchResponseTopicPartitionAcquiredRecord {
		return kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{FirstOffset: first, LastOffset: last, DeliveryCount: 1}
	}
	m := conn.newMember("w", "t")
	d := delivery{member: m, holding: holding{queuePartition: queuePartition{partition: 2}}, ranges: []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{at(101, 104), at(106, 108), at(112, 113)}}
	if err := d.write(raw); err != nil {
		t.Fatal(err)
	}
	if want := []kafka.Offset{102, 103, 106, 108, 112, 113}; !slices.Equal(d.gaps, want) {
		t.Errorf("gaps %v, want %v", d.gaps, want)
	}
	if want := []messageID{{"t", 2, 101}, {"t", 2, 104}, {"t", 2, 107}}; !slices.Equal(conn.queues.given, want) || d.n != len(want) {
		t.Errorf("gave %d: %v, want %v", d.n, conn.queues.given, want)
	}
}

// A message whose lock has run out may be with somebody else: it is not settled, and not held any more.
func TestLockRunsOut(t *testing.T) {
	now := time.Unix(1000, 0)
	_, s, c := start(t, Options{Now: func() time.Time { return now }})
	conn := newConnection(t.Context(), s, c.conn, nil)
	m := conn.newMember("w", "t")
	conn.queues.byTopic = map[string]*member{"t": m}
	old, young := messageID{"t", 0, 1}, messageID{"t", 0, 2}
	m.held[old], m.held[young] = holding{until: now.Add(time.Second)}, holding{until: now.Add(time.Minute)}
	conn.queues.given = []messageID{old, young}
	now = now.Add(time.Second)
	if _, err := conn.holders([]messageID{young, old}); err == nil || !strings.HasPrefix(err.Error(), "the lock of t/0/1 has run out, so nothing was done") {
		t.Errorf("%v", err)
	}
	if left := conn.stillGiven(); !slices.Equal(left, []messageID{young}) {
		t.Errorf("%v is still given, want %v", left, young)
	}
	if n := conn.queues.holding(now); n != 1 {
		t.Errorf("%d are held, want 1", n)
	}
	if by, err := conn.holders([]messageID{young}); err != nil || len(by[m]) != 1 {
		t.Errorf("%v, %v", by, err)
	}
}

// What a member is to fetch may change while it fetches: the fetch ends, so that the next one asks for what there is.
func TestFetchEndsWhenTheAssignmentChanges(t *testing.T) {
	_, s, c := start(t, Options{})
	m := newConnection(t.Context(), s, c.conn, nil).newMember("w", "t")
	one, two := []queuePartition{{partition: 0}}, []queuePartition{{partition: 0}, {partition: 1}}
	m.set(func() { m.assigned = one })
	fetching := make(chan struct{})
	go func() {
		<-fetching
		m.set(func() { m.assigned = two })
	}()
	if !m.whileAssigned(t.Context(), one, func(ctx context.Context) {
		close(fetching)
		<-ctx.Done()
	}) {
		t.Error("the change was not noticed")
	}
	if m.whileAssigned(t.Context(), two, func(context.Context) {}) {
		t.Error("a change was noticed that is none")
	}
}

// An error about a queue says what to do, whatever its code (TXT-4).
func TestQueueErrorsSayWhatToDo(t *testing.T) {
	text := "Kafka's own words."
	for _, c := range []struct {
		code kafka.ErrorCode
		text *string
		want string
	}{
		{kafka.None, nil, ""},
		{kafka.GroupIDNotFound, &text, `group two\x20words is no queue; GROUPS lists what there is, choose another name`},
		{kafka.GroupMaxSizeReached, &text, `queue two\x20words has as many members as group.share.max.size allows; close another connection first`},
		{kafka.InvalidRequest, &text, `queue two\x20words: Kafka's own words.`},
		{kafka.UnknownTopicID, nil, "the topic was deleted"},
		{kafka.NotCoordinator, &text, `the coordinator of group "two words" cannot be reached at the moment: try again`},
	} {
		got := ""
		if err := queueError(int16(c.code), c.text, "two words"); err != nil {
			if got = err.Error(); kafka.CodeOf(err) != c.code {
				t.Errorf("%s became %s", c.code.Name(), kafka.CodeOf(err).Name())
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.code.Name(), got, c.want)
		}
	}
}
