package kafkasrv

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/wire"
)

// FuzzProduceRequest compares the decoder by hand with another implementation's: what that one takes, ours takes alike.
func FuzzProduceRequest(f *testing.F) {
	for v := int16(3); v <= 13; v++ {
		q := produceTo("orders", -1, batch(4))
		q.Version = v
		f.Add(v, q.AppendTo(nil))
	}
	d := open(f, newFakeBroker("orders"), Options{})
	img := d.broker.Image()
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		if version < 3 || version > 13 || len(body) > 1<<16 {
			return
		}
		flexible := version >= 9
		p := new(produceCall)
		err := p.parse(&request{body: body, version: version, flexible: flexible}, img, 1<<16)
		if err != nil {
			return
		}
		want := kmsg.NewPtrProduceRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("only we take %x: %v", body, err)
		}
		at := 0
		for i := range want.Topics {
			for j := range want.Topics[i].Partitions {
				got, w := &p.req.Partitions[at], &want.Topics[i].Partitions[j]
				if got.Topic != want.Topics[i].Topic || got.TopicID != want.Topics[i].TopicID || got.Partition != w.Partition || !bytes.Equal(got.Records, record.Batches(w.Records)) {
					t.Fatalf("%+v, want %+v", got, w)
				}
				at++
			}
		}
		if at != len(p.req.Partitions) || p.req.Acks != want.Acks || p.req.Timeout != time.Duration(want.TimeoutMillis)*time.Millisecond {
			t.Fatalf("%+v, want %+v", p.req, want)
		}
	})
}

// FuzzFetchRequest does the same for the other request that is decoded by hand.
func FuzzFetchRequest(f *testing.F) {
	for v := int16(4); v <= 18; v++ {
		q := fetchOf("orders", [16]byte{1}, 3)
		q.Version, q.Rack = v, "r"
		q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "x", Partitions: []int32{1, 2}}}
		f.Add(v, q.AppendTo(nil))
	}
	d := open(f, newFakeBroker("orders"), Options{})
	img := d.broker.Image()
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		if version < 4 || version > 18 || len(body) > 1<<16 {
			return
		}
		p := new(fetchCall)
		if err := p.parse(&request{body: body, version: version, flexible: version >= 12}, img, 1<<16); err != nil {
			return
		}
		want := kmsg.NewPtrFetchRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			return // it looks into tags that do not concern consumers, and so may refuse more
		}
		at := 0
		for i := range want.Topics {
			for j := range want.Topics[i].Partitions {
				got, w := &p.req.Partitions[at], &want.Topics[i].Partitions[j]
				if got.Topic != want.Topics[i].Topic || got.TopicID != want.Topics[i].TopicID || got.Partition != w.Partition ||
					int64(got.Offset) != w.FetchOffset || got.MaxBytes != int(w.PartitionMaxBytes) || int32(got.LeaderEpoch) != w.CurrentLeaderEpoch ||
					int32(got.LastFetchedEpoch) != w.LastFetchedEpoch || int64(got.LogStart) != w.LogStartOffset {
					t.Fatalf("%+v, want %+v", got, w)
				}
				at++
			}
		}
		if at != len(p.req.Partitions) || p.req.MinBytes != int(want.MinBytes) || p.req.MaxBytes != int(want.MaxBytes) || p.req.Rack != want.Rack || p.id != want.SessionID || p.epoch != want.SessionEpoch {
			t.Fatalf("%+v, want %+v", p.req, want)
		}
	})
}

// FuzzRequest sends whole requests of every API through a connection: it must answer or close, and the server must go on.
func FuzzRequest(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, a := range newAPITable().list {
		for v := a.min; v <= a.max; v++ {
			msg := kmsg.RequestForKey(a.key)
			fill(rng, reflect.ValueOf(msg).Elem(), 0)
			msg.SetVersion(v)
			f.Add(a.key, v, msg.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		s := New(newFakeBroker("orders"), Options{NodeID: 1, FrameBytes: 1 << 20, AnswerBytes: 1 << 20})
		a := s.apis.find(key)
		if a == nil || version < a.min || version > a.max || len(body) > 32<<10 {
			_ = s.Close()
			return
		}
		if a.shape != nil {
			if content, err := a.shape.Walk(body, version, version >= a.flexible); err == nil && content.Elements+2*content.Tags > len(body) {
				t.Fatalf("%+v in %d bytes", content, len(body))
			}
		}
		b := wire.BeginResponse(nil, int32(key)<<16|int32(version), false)
		b = append(b, 0, 0, 0, 1, 0xff, 0xff) // correlation id, no client id
		if version >= a.flexible {
			b = append(b, 0)
		}
		b = append(b, body...)
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		here, there := net.Pipe()
		go func() {
			_, _ = here.Write(b)
			_, _ = here.Write(frame(hello(), 2))
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Serve(context.Background(), there)
		}()
		_ = here.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for last := false; !last; { // until the second request is answered, or the connection ends, or a long poll takes too long
			var head [8]byte
			if _, err := io.ReadFull(here, head[:]); err != nil {
				break
			}
			last = binary.BigEndian.Uint32(head[4:]) == 2
			if _, err := io.CopyN(io.Discard, here, int64(binary.BigEndian.Uint32(head[:]))-4); err != nil {
				break
			}
		}
		_ = here.Close()
		<-done
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Frames.Used() != 0 || st.Answers.Used != 0 {
			t.Fatalf("%+v", st)
		}
	})
}
