package abuse

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Every API in every version that is advertised is sent valid requests in which bytes, lengths and counts were changed: each is answered or
// closes its connection, none hangs, none makes the server take memory, and the server goes on.
func TestMutatedRequestsAreAnsweredOrRefused(t *testing.T) {
	each := 12
	if long {
		each = 1000
	}
	w := start(t, "--set", "num.partitions=2", "--set", "auto.create.topics.enable=false")
	w.create("target", 2)
	rng := seeded(t)
	versions := request[*kmsg.ApiVersionsResponse](w, &kmsg.ApiVersionsRequest{Version: 3, ClientSoftwareName: "abuse", ClientSoftwareVersion: "1"})
	m := mutator{t: t, batch: batchOf(t, 3, 50), id: w.topicID("target")}
	work := make(chan attempt)
	var sending sync.WaitGroup
	for range 8 {
		sending.Go(func() {
			for a := range work {
				w.attack(a)
			}
		})
	}
	total := 0
	for _, k := range versions.ApiKeys {
		for v := k.MinVersion; v <= k.MaxVersion; v++ {
			for range each {
				work <- attempt{k.ApiKey, v, m.request(rng, k.ApiKey, v)}
				total++
			}
		}
	}
	close(work)
	sending.Wait()
	t.Logf("%d requests of %d APIs", total, len(versions.ApiKeys))
	if now := w.vitals(); now.rss > w.before.rss+100<<20 {
		t.Errorf("resident memory rose from %d to %d MiB", w.before.rss>>20, now.rss>>20)
	}
	w.checkWell()
}

type attempt struct {
	key, version int16
	frame        []byte
}

// attack sends the request and one that is right, and waits for the answer to that one, but not for long: the first may be a fetch that
// waits a minute. Then it says that nothing more comes, and the server has to come to an end.
func (w *world) attack(a attempt) {
	nc, err := net.DialTimeout("tcp", w.Kafka, 10*time.Second)
	if err != nil {
		w.t.Errorf("dial: %v", err)
		return
	}
	_, _ = nc.Write(append(a.frame, hello()...))
	_ = nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	for {
		b, err := readFrame(nc)
		if err != nil || len(b) < 4 || binary.BigEndian.Uint32(b) == helloID {
			break
		}
	}
	_ = nc.(*net.TCPConn).CloseWrite()
	if w.ends(nc, 20*time.Second, kmsg.NameForKey(a.key)); w.t.Failed() {
		w.t.Logf("%s version %d: %x", kmsg.NameForKey(a.key), a.version, a.frame)
	}
}

func (w *world) topicID(topic string) [16]byte {
	q := kmsg.NewPtrMetadataRequest()
	q.Version = 12
	q.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	return request[*kmsg.MetadataResponse](w, q).Topics[0].TopicID
}

// mutator makes requests that are nearly right.
type mutator struct {
	t     *testing.T
	batch []byte
	id    [16]byte
}

// request is a frame of that API: one in eight is as it should be.
func (m *mutator) request(rng *rand.Rand, key, version int16) []byte {
	msg := kmsg.RequestForKey(key)
	m.fill(rng, reflect.ValueOf(msg).Elem(), 0)
	msg.SetVersion(version)
	b := framed(msg, 1)
	if n := rng.IntN(8); n > 0 {
		for range 1 + rng.IntN(n) {
			b = m.mutate(rng, b)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// fill gives every field of a message a value that leads somewhere.
func (m *mutator) fill(rng *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "UnknownTags" {
				m.fill(rng, f, depth+1)
			}
		}
	case reflect.Pointer:
		if rng.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			m.fill(rng, v.Elem(), depth+1)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(m.batch)
			return
		}
		n := rng.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			m.fill(rng, v.Index(i), depth+1)
		}
	case reflect.Array:
		if v.Len() == len(m.id) {
			v.Set(reflect.ValueOf(m.id).Convert(v.Type()))
		}
	case reflect.String:
		v.SetString([]string{"target", "target", "target", "", "other", "1", "cleanup.policy", "retention.ms"}[rng.IntN(8)])
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, 0, 1, 1, -1, 2, 100}[rng.IntN(7)])
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rng.IntN(3)))
	}
}

// extremes are what lengths, counts and numbers are set to.
var extremes = []uint32{0, 1, 0x7f, 0x80, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff}

// mutate changes something behind the API's key and version, which stay.
func (m *mutator) mutate(rng *rand.Rand, b []byte) []byte {
	const fixed = 8
	if len(b) <= fixed+4 {
		return append(b, byte(rng.Uint32()))
	}
	at := fixed + rng.IntN(len(b)-fixed)
	x := extremes[rng.IntN(len(extremes))]
	switch rng.IntN(8) {
	case 0:
		b[at] ^= 1 << rng.IntN(8)
	case 1:
		b[at] = byte(x)
	case 2:
		if at+2 <= len(b) {
			binary.BigEndian.PutUint16(b[at:], uint16(x))
		}
	case 3:
		if at+4 <= len(b) {
			binary.BigEndian.PutUint32(b[at:], x)
		}
	case 4: // the compact encoding of a length or count
		b = append(b[:at:at], append(binary.AppendUvarint(nil, uint64(x)), b[at:]...)...)
	case 5:
		b = b[:at]
	case 6:
		from := fixed + rng.IntN(len(b)-fixed)
		b = append(b[:at:at], b[min(from, at):]...)
	default:
		junk := make([]byte, rng.IntN(40))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		b = append(b[:at:at], append(junk, b[at:]...)...)
	}
	return b
}
