package record

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rafka-io/rafka/internal/kafka"
)

// bomb is a small batch with one record of size bytes, nearly all zeros.
func bomb(t *testing.T, c Codec, size int) []byte {
	t.Helper()
	out := appender{}
	o := plain(c)
	out.buf = appendHeader(nil, &o, 0, 0, 0, 1)
	enc, release, err := compressor(c, 0, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	// One record whose value is all zeros.
	value := size - 20
	prefix := binary.AppendVarint(nil, int64(value+1+1+1+1+varintSize(int64(value))+1))
	prefix = append(prefix, 0, 0, 0, 1)
	prefix = binary.AppendVarint(prefix, int64(value))
	_, err = enc.Write(prefix)
	for chunk := make([]byte, 1<<16); err == nil && value > 0; value -= min(value, len(chunk)) {
		_, err = enc.Write(chunk[:min(value, len(chunk))])
	}
	if err == nil {
		_, err = enc.Write([]byte{0})
	}
	if err == nil {
		err = enc.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(out.buf[8:], uint32(len(out.buf)-LengthOffset))
	sealCRC(out.buf)
	return out.buf
}

// allocated is how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// REC-2: 32 MiB of zeros in a few KB cost no more than the cap and a constant, and where a batch is only walked, a constant.
func TestBombsCostNoMoreThanTheirCap(t *testing.T) {
	const size, most = 32 << 20, 1 << 20
	const constant = 24 << 20 // a zstd window with its blocks, an lz4 block, hash tables
	for _, c := range allCodecs[1:] {
		b := bomb(t, c, size)
		t.Logf("%v: %d bytes", c, len(b))
		var err error
		if n := allocated(func() { _, err = collect(b, most) }); n > 3*most+constant {
			t.Errorf("%v: Records allocated %d bytes", c, n)
		}
		if kafka.CodeOf(err) != kafka.InvalidRecord {
			t.Errorf("%v: Records: %v", c, err)
		}
		if n := allocated(func() { _, _, err = Validate(b, &Rules{CheckRecords: true, MaxDecompressed: most}, 0) }); n > constant {
			t.Errorf("%v: Validate allocated %d bytes", c, n)
		}
		if kafka.CodeOf(err) != kafka.InvalidRecord {
			t.Errorf("%v: Validate: %v", c, err)
		}
		if n := allocated(func() { _, _, err = Validate(b, &Rules{CheckRecords: true}, 0) }); n > constant || err != nil {
			t.Errorf("%v: a walk allocated %d bytes: %v", c, n, err)
		}
		if n := allocated(func() {
			_, _, err = Validate(b, &Rules{Recompress: true, Codec: None, MaxBatchBytes: most}, 0)
		}); n > 6*most+constant || kafka.CodeOf(err) != kafka.MessageTooLarge {
			t.Errorf("%v: decompressing as the topic asks allocated %d bytes: %v", c, n, err)
		}
	}
}

// A length that a header claims reserves nothing.
func TestClaimedSizesReserveNothing(t *testing.T) {
	wrap := func(c Codec, payload []byte) []byte {
		o := plain(c)
		b := append(appendHeader(nil, &o, 0, 0, 0, 1), payload...)
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-LengthOffset))
		sealCRC(b)
		return b
	}
	for name, b := range map[string][]byte{
		"raw snappy of 4 GiB":       wrap(Snappy, []byte("\xff\xff\xff\xff\x0f\x00x")),
		"framed snappy of 1 GiB":    wrap(Snappy, append([]byte(xerialHeader), "\x00\x00\x00\x07\x80\x80\x80\x80\x04\x00x"...)),
		"framed snappy block 2 GiB": wrap(Snappy, append([]byte(xerialHeader), "\x7f\xff\xff\xffxx"...)),
		"zstd single segment 2 GiB": wrap(Zstd, []byte("\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x80\x01\x00\x00")),
		"zstd window of 3 TiB":      wrap(Zstd, []byte("\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00")),
	} {
		var err error
		if n := allocated(func() { _, err = collect(b, 0) }); n > 24<<20 || err == nil {
			t.Errorf("%s: Records allocated %d bytes: %v", name, n, err)
		}
		if n := allocated(func() { _, _, err = Validate(b, &Rules{CheckRecords: true}, 0) }); n > 24<<20 || kafka.CodeOf(err) != kafka.InvalidRecord {
			t.Errorf("%s: Validate allocated %d bytes: %v", name, n, err)
		}
	}
}

// Producers at zstd's levels 20-22 name windows of up to 128 MiB; they are read, if one at a time.
func TestLargeZstdWindowsAreRead(t *testing.T) {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(32<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	o := plain(None)
	recs := []Record{{Value: bytes.Repeat([]byte("window"), 100)}}
	if _, err := w.Write(appendRecords(nil, &o, 0, recs)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil { // the size is not known in advance, as from a stream
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !needsLargeWindow(out.Bytes()) {
		t.Fatal("the frame does not ask for a large window")
	}
	o.Codec = Zstd
	b := append(appendHeader(nil, &o, 0, 0, 0, 1), out.Bytes()...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-LengthOffset))
	sealCRC(b)
	if got, err := collect(b, 1<<20); err != nil || !bytes.Equal(got[0].Value, recs[0].Value) {
		t.Fatal(err)
	}
	if _, _, err := Validate(b, &Rules{CheckRecords: true}, 0); err != nil {
		t.Fatal(err)
	}
}

// REC-2: a compacted topic takes no batch that compaction could not hold; others may, since they are only walked.
func TestCompactedTopicsRefuseWhatCompactionCannotHold(t *testing.T) {
	b := bomb(t, Zstd, MaxCompacted+1)
	var err error
	if n := allocated(func() { _, _, err = Validate(b, &Rules{RequireKeys: true}, 0) }); n > 24<<20 || kafka.CodeOf(err) != kafka.InvalidRecord {
		t.Errorf("Validate allocated %d bytes: %v", n, err)
	}
	if _, _, err := Validate(b, &Rules{CheckRecords: true}, 0); err != nil {
		t.Error(err)
	}
}
