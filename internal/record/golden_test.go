package record

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

var kgoCodecs = map[Codec]kgo.CompressionCodec{
	Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression(),
}

// theirs encodes recs with franz-go's own types and compressors, as its producer does.
func theirs(t testing.TB, c Codec, recs []Record) []byte {
	t.Helper()
	var payload []byte
	for i, r := range recs {
		k := kmsg.Record{TimestampDelta64: int64(r.Timestamp - recs[0].Timestamp), OffsetDelta: int32(i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1) // the length itself was written as one byte
		payload = k.AppendTo(payload)
	}
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: int16(c), LastOffsetDelta: int32(len(recs) - 1), FirstTimestamp: int64(recs[0].Timestamp),
		MaxTimestamp: int64(recs[0].Timestamp), ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(len(recs)), Records: payload,
	}
	for _, r := range recs {
		batch.MaxTimestamp = max(batch.MaxTimestamp, int64(r.Timestamp))
	}
	if c != None {
		z, err := kgo.DefaultCompressor(kgoCodecs[c])
		if err != nil {
			t.Fatal(err)
		}
		compressed, used := z.Compress(new(bytes.Buffer), payload)
		if Codec(used) != c {
			t.Fatalf("franz-go compressed with %v", used)
		}
		batch.Records = bytes.Clone(compressed)
	}
	b := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-LengthOffset))
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func sameRecord(a, b Record) bool {
	if len(a.Headers) != len(b.Headers) {
		return false
	}
	for i := range a.Headers {
		if a.Headers[i].Key != b.Headers[i].Key || !sameBlob(a.Headers[i].Value, b.Headers[i].Value) {
			return false
		}
	}
	return sameBlob(a.Key, b.Key) && sameBlob(a.Value, b.Value) && a.Timestamp == b.Timestamp && a.Offset == b.Offset
}

func sameBlob(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// What franz-go writes, we validate and read.
func TestFranzGoBatchesAreRead(t *testing.T) {
	r := seeded(t)
	for _, c := range allCodecs {
		recs := someRecords(r, 300)
		b := theirs(t, c, recs)
		if _, _, err := Validate(b, &Rules{CheckRecords: true}, 0); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		got, err := collect(b, 0)
		if err != nil || len(got) != len(recs) {
			t.Fatalf("%v: %d records, %v", c, len(got), err)
		}
		for i := range recs {
			if !sameRecord(got[i], recs[i]) {
				t.Fatalf("%v: record %d: %+v, want %+v", c, i, got[i], recs[i])
			}
		}
	}
}

// What we write, franz-go reads; uncompressed, the bytes are the same.
func TestFranzGoReadsOurBatches(t *testing.T) {
	r := seeded(t)
	for _, c := range allCodecs {
		recs := someRecords(r, 300)
		b := mustBuild(t, plain(c), recs)
		if c == None && !bytes.Equal(b, theirs(t, None, recs)) {
			t.Error("franz-go encodes these records in another way")
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(b); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		payload, err := kgo.DefaultDecompressor().Decompress(batch.Records, kgo.CompressionCodecType(batch.Attributes&attrCodecMask))
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		for i := range recs {
			var k kmsg.Record
			n, size := binary.Varint(payload)
			if err := k.ReadFrom(payload[:size+int(n)]); err != nil {
				t.Fatalf("%v record %d: %v", c, i, err)
			}
			payload = payload[size+int(n):]
			if !bytes.Equal(k.Key, recs[i].Key) || !bytes.Equal(k.Value, recs[i].Value) || int(k.OffsetDelta) != i || len(k.Headers) != len(recs[i].Headers) {
				t.Fatalf("%v record %d: %+v", c, i, k)
			}
		}
		if len(payload) > 0 {
			t.Errorf("%v: %d bytes more", c, len(payload))
		}
	}
}

// Snappy in Java's framing: ours is such a stream; blocks of any size, several streams after each other and a raw block are read.
func TestSnappyShapes(t *testing.T) {
	o := plain(None)
	recs := []Record{{Value: bytes.Repeat([]byte("snappy"), 20_000)}, {Offset: 1, Key: []byte("k")}}
	payload := appendRecords(nil, &o, 0, recs)
	if b := mustBuild(t, plain(Snappy), recs); !bytes.HasPrefix(b[HeaderSize:], []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")) {
		t.Error("not framed")
	}
	framed := func(blocks ...[]byte) []byte {
		b := []byte(xerialHeader)
		for _, p := range blocks {
			z := snappy.Encode(nil, p)
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(z))), z...)
		}
		return b
	}
	for name, z := range map[string][]byte{
		"raw":          snappy.Encode(nil, payload),
		"one block":    framed(payload),
		"blocks":       framed(payload[:1], payload[1:5000], nil, payload[5000:]),
		"two streams":  append(framed(payload[:5000]), framed(payload[5000:])...),
		"empty stream": append(framed(), framed(payload)...),
	} {
		got, err := decompress(Snappy, z, len(payload))
		if err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := decompress(Snappy, z, len(payload)-1); kafka.CodeOf(err) != kafka.InvalidRecord {
			t.Errorf("%s one byte over the limit: %v", name, err)
		}
	}
	for name, z := range map[string]string{
		"cut header": xerialHeader[:10], "cut length": xerialHeader + "\x00\x00", "cut block": xerialHeader + "\x00\x00\x00\x09abc",
	} {
		if _, err := decompress(Snappy, []byte(z), 100); kafka.CodeOf(err) != kafka.CorruptMessage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
