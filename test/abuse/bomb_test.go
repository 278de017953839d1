package abuse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/record"
)

// bomb is a batch of a few KiB with one record of size zeros, in zstd with that window.
func bomb(t *testing.T, size, window int) []byte {
	t.Helper()
	o := record.PlainOptions()
	o.Codec = record.Zstd
	b, err := record.Build(nil, o, []record.Record{{Key: []byte("k"), Value: []byte("v")}})
	if err != nil {
		t.Fatal(err)
	}
	value := int64(size)
	body := []byte{0, 0, 0} // attributes, timestamp delta, offset delta
	body = append(binary.AppendVarint(body, 1), 'k')
	body = binary.AppendVarint(body, value)
	head := append(binary.AppendVarint(nil, int64(len(body))+value+1), body...)
	var out bytes.Buffer
	enc, err := zstd.NewWriter(&out, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = enc.Write(head)
	for zeros := make([]byte, 1<<20); err == nil && size > 0; size -= min(size, len(zeros)) {
		_, err = enc.Write(zeros[:min(size, len(zeros))])
	}
	if err == nil {
		_, err = enc.Write([]byte{0}) // no headers
	}
	if err == nil {
		err = enc.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	b = append(b[:recordsAt], out.Bytes()...)
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-12))
	return seal(b)
}

// A few KiB that decompress to 900 MB cost the server no memory to speak of, whether it only passes them on, walks them or writes them in
// another codec. Where they would become too large, as where compaction would have to hold them, the answer says so.
func TestDecompressionBombsCostLittleMemory(t *testing.T) {
	w := start(t)
	size := 200 << 20
	if long {
		size = 900 << 20
	}
	b := bomb(t, size, 8<<20)
	t.Logf("%d bytes decompress to %d MiB", len(b), size>>20)
	w.create("plain", 1)
	w.create("compacted", 1, "cleanup.policy", "compact")
	w.create("capped", 1, "cleanup.policy", "compact", "max.decompressed.message.bytes", "10485760")
	w.create("gzip", 1, "compression.type", "gzip")
	w.create("uncompressed", 1, "compression.type", "uncompressed")
	for _, c := range []struct {
		topic string
		ok    bool
	}{{"plain", true}, {"compacted", false}, {"capped", false}, {"gzip", true}, {"uncompressed", false}} {
		peak := w.peak()
		t0 := time.Now()
		p := w.put(c.topic, 0, b)
		t.Logf("%s: %s after %v", c.topic, codeOf(p), time.Since(t0).Round(time.Millisecond))
		if (p.ErrorCode == 0) != c.ok || !c.ok && p.ErrorMessage == nil {
			t.Errorf("%s: answered %s", c.topic, codeOf(p))
		}
		w.grewAtMost(peak, 48<<20, c.topic)
	}
	w.checkWell()
}

// Many such batches at once, each with the largest window that is read without a lock, take turns at the memory that decompressing needs.
func TestManyBombsAtOnceTakeTurns(t *testing.T) {
	w := start(t)
	w.create("walked", 1, "compression.type", "gzip")
	n, size := 60, 12<<20
	if long {
		n, size = 200, 64<<20
	}
	for _, window := range []int{8 << 20, 64 << 20} {
		b := bomb(t, size, window)
		peak := w.peak()
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				nc := w.dial()
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(2 * time.Minute))
				q := produceOf("walked", 0, b)
				q.TimeoutMillis = 60000
				if a, err := ask(nc, q); err != nil {
					t.Errorf("produce: %v", err)
				} else if p := a.(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
					t.Errorf("produce: %s", codeOf(p))
				}
			})
		}
		all.Wait()
		w.grewAtMost(peak, 384<<20, fmt.Sprintf("%d bombs with a window of %d MiB", n, window>>20))
	}
	w.checkWell()
}
