package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

// All three families of headers say where a dead letter comes from; Spring writes its numbers as bytes.
func TestOriginsOfDeadLetters(t *testing.T) {
	for _, c := range []struct {
		headers []kgo.RecordHeader
		want    *origin
	}{
		{nil, nil},
		{[]kgo.RecordHeader{header("other", "x"), header("__dlq.errors.partition", "1")}, nil},
		{[]kgo.RecordHeader{header("__dlq.errors.topic", "t"), header("__dlq.errors.partition", "2"), header("__dlq.errors.offset", "17"), header("__dlq.errors.group", "g"),
			header("__dlq.errors.delivery.count", "5"), header("__dlq.errors.message", "too often")}, &origin{"kafka", "t", 2, 17, "g", "5", "too often"}},
		{[]kgo.RecordHeader{header("kafka_dlt-original-topic", "t"), header("kafka_dlt-original-partition", "\x00\x00\x00\x03"),
			header("kafka_dlt-original-offset", "\x00\x00\x00\x00\x00\x00\x01\x00"), header("kafka_dlt-original-consumer-group", "g"), header("kafka_dlt-exception-message", "boom"),
			header("kafka_dlt-original-topic", "t-retry")}, &origin{"spring", "t", 3, 256, "g", "", "boom"}},
		{[]kgo.RecordHeader{header("kafka_dlt-original-topic", "t"), header("kafka_dlt-original-partition", "3"), header("kafka_dlt-exception-fqcn", "E")}, &origin{"spring", "t", -1, -1, "", "", "E"}},
		{[]kgo.RecordHeader{header("__connect.errors.topic", "t"), header("__connect.errors.partition", "0"), header("__connect.errors.offset", "-5"),
			header("__connect.errors.exception.class.name", "E")}, &origin{"connect", "t", 0, -1, "", "", "E"}},
	} {
		got, ok := originOf(c.headers)
		if ok != (c.want != nil) || ok && !reflect.DeepEqual(got, *c.want) {
			t.Errorf("%v: %+v, want %+v", c.headers, got, c.want)
		}
	}
	kept := withoutLetterHeaders([]kgo.RecordHeader{header("a", "1"), header("__dlq.errors.topic", "t"), header("kafka_dlt-x", ""), header("__connect.errors.topic", ""), header(deliverAtHeader, "1"), header("b", "2")})
	if len(kept) != 2 || kept[0].Key != "a" || kept[1].Key != "b" {
		t.Errorf("kept %v", kept)
	}
}

func TestTimesOfDelivery(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	given := func(flags ...string) func(string) bool {
		return func(f string) bool {
			for _, one := range flags {
				if one == f {
					return true
				}
			}
			return false
		}
	}
	for _, c := range []struct {
		delay time.Duration
		at    string
		given []string
		want  time.Time
		fails bool
	}{
		{},
		{delay: time.Minute, given: []string{"delay"}, want: now.Add(time.Minute)},
		{at: "2027-01-16T00:00:00Z", given: []string{"at"}, want: time.Date(2027, 1, 16, 0, 0, 0, 0, time.UTC)},
		{delay: 0, given: []string{"delay"}, fails: true},
		{delay: 11 * 365 * 24 * time.Hour, given: []string{"delay"}, fails: true},
		{at: "tomorrow", given: []string{"at"}, fails: true},
		{at: "2099-01-01", given: []string{"at"}, fails: true},
		{delay: 1, at: "2027-01-16", given: []string{"at", "delay"}, fails: true},
	} {
		got, err := deliveryTime(c.delay, c.at, given(c.given...), now)
		if (err != nil) != c.fails || !c.fails && !got.Equal(c.want) {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}

// CLI-6: a copy that is refused leaves its letter, and those behind it in its partition, to the next redrive; what was sent before counts.
func TestRedriveStopsBehindWhatWasNotAcknowledged(t *testing.T) {
	s := newShell(t, kfake.SeedTopics(1, "good", "bad", "dead"))
	letter := func(to, value string) *kgo.Record {
		return &kgo.Record{Topic: "dead", Value: []byte(value), Headers: []kgo.RecordHeader{header("__dlq.errors.topic", to), header("__dlq.errors.partition", "0")}}
	}
	cl := s.client()
	for i, to := range []string{"good", "bad", "good"} {
		if err := cl.ProduceSync(t.Context(), letter(to, fmt.Sprint("v", i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		q := req.(*kmsg.ProduceRequest)
		resp := q.ResponseKind().(*kmsg.ProduceResponse)
		refused := false
		for _, topic := range q.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition = p.Partition
				if s.cluster.TopicInfo("bad") != nil && (topic.Topic == "bad" || topic.TopicID == s.cluster.TopicInfo("bad").TopicID) {
					rp.ErrorCode, refused = kerr.MessageTooLarge.Code, true
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, refused
	})
	_, errs, code := s.try(strings.NewReader(""), "queue redrive dead")
	if code != 1 || !strings.Contains(errs, "send to bad: MESSAGE_TOO_LARGE") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if got := s.must("group describe " + redriveGroup + " --format json"); !strings.Contains(got, `"committed_offset": 1,`) {
		t.Errorf("progress is not 1:\n%s", got)
	}
}

// A broker that refuses an acknowledgement makes receive fail at its end: the message may come again.
func TestReceiveTellsFailedAcknowledgements(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	s.must("queue send t one two -q")
	s.cluster.ControlKey(int16(kmsg.ShareAcknowledge), func(req kmsg.Request) (kmsg.Response, error, bool) {
		q := req.(*kmsg.ShareAcknowledgeRequest)
		resp, topic, partition := q.ResponseKind().(*kmsg.ShareAcknowledgeResponse), kmsg.NewShareAcknowledgeResponseTopic(), kmsg.NewShareAcknowledgeResponseTopicPartition()
		partition.ErrorCode = kerr.InvalidRecordState.Code
		topic.TopicID, topic.Partitions = q.Topics[0].TopicID, append(topic.Partitions, partition)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	out, errs, code := s.try(strings.NewReader(""), "queue receive t --count 2 --exec cat")
	if code != 1 || out != "onetwo" || !strings.Contains(errs, "acknowledge messages of t/0: INVALID_RECORD_STATE") || !strings.Contains(errs, "the message was held too long") {
		t.Errorf("exit code %d, %q: %s", code, out, errs)
	}
}

// A command that is interrupted puts its message back.
func TestInterruptedCommandReleasesItsMessage(t *testing.T) {
	s := newShell(t)
	s.must("topic create t")
	s.must("queue send t one -q")
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"queue", "receive", "t", "--exec", "echo began; exec sleep 60"}, streams{nil, w, io.Discard, func(k string) string { return s.env[k] }})
		w.Close()
	}()
	if _, err := io.ReadFull(r, make([]byte, 6)); err != nil {
		t.Fatal(err)
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
	if got := s.must("queue receive t -f %v"); got != "one" {
		t.Errorf("received %q", got)
	}
}
