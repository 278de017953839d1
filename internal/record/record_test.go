package record

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

var allCodecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// someRecords are records of every shape: null and empty, keys and headers, timestamps that go back.
func someRecords(r *rand.Rand, n int) []Record {
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = Record{Offset: kafka.Offset(i), Timestamp: 1_700_000_000_000 + kafka.Timestamp(r.IntN(2000)-1000)}
		recs[i].Key, recs[i].Value = someBytes(r, 40), someBytes(r, 2000)
		for j := r.IntN(4); j > 0; j-- {
			recs[i].Headers = append(recs[i].Headers, RecordHeader{fmt.Sprint("h", j), someBytes(r, 30)})
		}
	}
	return recs
}

// someBytes are nil, empty, random or repetitive.
func someBytes(r *rand.Rand, most int) []byte {
	switch r.IntN(6) {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2:
		return bytes.Repeat([]byte("rafka "), r.IntN(most/6+1))
	}
	b := make([]byte, r.IntN(most))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func seeded(t testing.TB) *rand.Rand {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func mustBuild(t testing.TB, o BatchOptions, recs []Record) []byte {
	t.Helper()
	b, err := Build(nil, o, recs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func collect(batch []byte, most int) (recs []Record, err error) {
	for r, err := range Records(batch, most) {
		if err != nil {
			return recs, err
		}
		recs = append(recs, r)
	}
	return recs, nil
}

func plain(c Codec) BatchOptions {
	o := PlainOptions()
	o.Codec = c
	return o
}

// What Build writes, Check, Validate and Records read, in every codec and at several levels.
func TestBuiltBatchesReadBack(t *testing.T) {
	r := seeded(t)
	for _, c := range allCodecs {
		for _, level := range []int{0, 1, 5, 9, 17, 22} {
			for _, n := range []int{1, 2, 200} {
				recs := someRecords(r, n)
				o := plain(c)
				o.Level = level
				b := mustBuild(t, o, recs)
				h, err := Check(b)
				if err != nil || h.Size() != len(b) || h.Codec() != c || int(h.Records) != n || int(h.LastOffsetDelta) != n-1 {
					t.Fatalf("%v level %d: Check %+v, %v", c, level, h, err)
				}
				got, err := collect(b, 0)
				if err != nil {
					t.Fatalf("%v level %d: %v", c, level, err)
				}
				if !reflect.DeepEqual(got, recs) {
					t.Fatalf("%v level %d: %d records differ from what was built", c, level, n)
				}
				for _, rules := range []Rules{{}, {CheckRecords: true}} {
					if v, vh, err := Validate(b, &rules, 0); err != nil || &v[0] != &b[0] || vh != h {
						t.Fatalf("%v level %d %+v: %v", c, level, rules, err)
					}
				}
			}
		}
	}
}

// REC-3: after compaction a batch keeps its first and last offset, may have gaps, and its deltas are relative to the delete horizon.
func TestCompactedBatchKeepsItsOffsets(t *testing.T) {
	o := plain(Zstd)
	o.BaseOffset, o.LastOffsetDelta, o.DeleteHorizon = 100, 9, 5000
	recs := []Record{{Offset: 103, Key: []byte("a"), Timestamp: 4000}, {Offset: 107, Key: []byte("b"), Timestamp: 6000}}
	b := mustBuild(t, o, recs)
	h, err := Check(b)
	if err != nil || h.LastOffset() != 109 || !h.HasDeleteHorizon() || h.BaseTimestamp != 5000 || h.MaxTimestamp != 6000 {
		t.Fatalf("%+v %v", h, err)
	}
	got, err := collect(b, 0)
	if err != nil || !reflect.DeepEqual(got, recs) {
		t.Fatalf("%+v %v", got, err)
	}
	b = mustBuild(t, o, nil)
	if h, err = Check(b); err != nil || h.Records != 0 || h.LastOffset() != 109 || len(b) != HeaderSize {
		t.Fatalf("empty batch: %+v %v", h, err)
	}
	if got, err = collect(b, 0); err != nil || len(got) != 0 {
		t.Fatalf("empty batch: %v %v", got, err)
	}
}

func TestBuildRefusesOffsetsThatDoNotRise(t *testing.T) {
	low := PlainOptions()
	low.LastOffsetDelta = 1
	for _, tc := range []struct {
		o    BatchOptions
		recs []Record
	}{
		{PlainOptions(), nil},
		{PlainOptions(), []Record{{Offset: 1}, {Offset: 1}}},
		{PlainOptions(), []Record{{Offset: -1}}},
		{PlainOptions(), []Record{{Offset: 1 << 31}}},
		{low, []Record{{Offset: 2}}},
	} {
		if b, err := Build([]byte("x"), tc.o, tc.recs); kafka.CodeOf(err) != kafka.InvalidRecord || string(b) != "x" {
			t.Errorf("%+v: %v", tc.recs, err)
		}
	}
}

// REC-1: Stamp touches bytes 0-7 and 12-15, and the CRC still holds.
func TestStampLeavesTheCRCAlone(t *testing.T) {
	b := mustBuild(t, plain(Gzip), someRecords(seeded(t), 3))
	before := bytes.Clone(b)
	Stamp(b, 77, 5)
	h, err := Check(b)
	if err != nil || h.BaseOffset != 77 || h.LeaderEpoch != 5 {
		t.Fatalf("%+v %v", h, err)
	}
	if !bytes.Equal(b[8:12], before[8:12]) || !bytes.Equal(b[16:], before[16:]) {
		t.Fatal("Stamp changed more than base offset and leader epoch")
	}
}

// REC-1: StampAppendTime rewrites attributes, max timestamp and CRC, and readers see the broker's time in every record.
func TestStampAppendTimeGivesEveryRecordOneTime(t *testing.T) {
	before := mustBuild(t, plain(LZ4), someRecords(seeded(t), 5))
	followed := append(bytes.Clone(before), "next batch"...)
	StampAppendTime(followed, 42)
	b := followed[:len(before)]
	if string(followed[len(b):]) != "next batch" {
		t.Fatal("what follows the batch changed")
	}
	h, err := Check(b)
	if err != nil || !h.IsLogAppendTime() || h.MaxTimestamp != 42 || h.Codec() != LZ4 {
		t.Fatalf("%+v %v", h, err)
	}
	for _, span := range [][2]int{{0, crcAt}, {attributesAt + 2, maxTimeAt}, {maxTimeAt + 8, len(b)}} {
		if !bytes.Equal(b[span[0]:span[1]], before[span[0]:span[1]]) {
			t.Fatalf("bytes %d-%d changed", span[0], span[1])
		}
	}
	recs, err := collect(b, 0)
	if err != nil || len(recs) != 5 {
		t.Fatal(err)
	}
	for _, r := range recs {
		if r.Timestamp != 42 {
			t.Fatalf("timestamp %d", r.Timestamp)
		}
	}
}

// The oracle of both lookups is a loop over Records.
func TestTimestampLookupsAgreeWithRecords(t *testing.T) {
	r := seeded(t)
	for _, c := range allCodecs {
		o := plain(c)
		o.BaseOffset = 1000
		recs := someRecords(r, 50)
		for i := range recs {
			recs[i].Offset += 1000
		}
		b := mustBuild(t, o, recs)
		for range 50 {
			ts, from := recs[0].Timestamp+kafka.Timestamp(r.IntN(4000)-2000), kafka.Offset(1000+r.IntN(50))
			want, wantTime := kafka.NoOffset, kafka.NoTimestamp
			for _, rec := range recs {
				if rec.Timestamp >= ts && rec.Offset >= from {
					want, wantTime = rec.Offset, rec.Timestamp
					break
				}
			}
			got, gotTime, err := FindTimestamp(b, ts, from, 0)
			if err != nil || got != want || gotTime != wantTime {
				t.Fatalf("%v: %d %d %v, want %d %d", c, got, gotTime, err, want, wantTime)
			}
		}
		want := 0
		for i := range recs {
			if recs[i].Timestamp > recs[want].Timestamp {
				want = i
			}
		}
		if got, gotTime, err := MaxTimestamp(b, 0); err != nil || got != recs[want].Offset || gotTime != recs[want].Timestamp {
			t.Fatalf("%v: max timestamp %d %d %v", c, got, gotTime, err)
		}
	}
}

func TestEndTxnMarkersReadBack(t *testing.T) {
	for _, commit := range []bool{true, false} {
		o := PlainOptions()
		o.BaseOffset, o.ProducerID, o.ProducerEpoch, o.Codec = 9, 4, 2, Gzip
		b, err := BuildEndTxnMarker(nil, o, EndTxnMarker{commit, 7}, 1234)
		if err != nil {
			t.Fatal(err)
		}
		h, err := Check(b)
		if err != nil || !h.IsControl() || !h.IsTransactional() || h.ProducerID != 4 || h.BaseSequence != kafka.NoSequence || h.BaseOffset != 9 {
			t.Fatalf("%+v %v", h, err)
		}
		recs, err := collect(b, 0)
		if err != nil || len(recs) != 1 {
			t.Fatalf("%v %v", recs, err)
		}
		if m, ok, err := ParseEndTxnMarker(&recs[0]); err != nil || !ok || m != (EndTxnMarker{commit, 7}) {
			t.Fatalf("%+v %v %v", m, ok, err)
		}
	}
	if _, ok, err := ParseEndTxnMarker(&Record{Key: []byte{0, 0, 0, 2}}); ok || err != nil {
		t.Error("a leader change is no transaction marker", err)
	}
	for _, r := range []Record{{}, {Key: []byte{0, 0, 0}}, {Key: []byte{0xff, 0, 0, 0}}, {Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 1}}} {
		if _, ok, err := ParseEndTxnMarker(&r); ok || kafka.CodeOf(err) != kafka.CorruptMessage {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for i, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		if c, err := ParseCodec(name); err != nil || c != Codec(i) || c.String() != name {
			t.Errorf("%s: %v %v", name, c, err)
		}
	}
	if c, err := ParseCodec("uncompressed"); err != nil || c != None {
		t.Error(c, err)
	}
	for _, name := range []string{"producer", "", "brotli"} {
		if _, err := ParseCodec(name); kafka.CodeOf(err) != kafka.UnsupportedCompressionType {
			t.Errorf("%q: %v", name, err)
		}
	}
	if Codec(7).String() != "codec 7" {
		t.Error(Codec(7))
	}
}

func TestAllStopsAtTheFirstPieceThatIsNoBatch(t *testing.T) {
	one, two := mustBuild(t, plain(None), []Record{{}}), mustBuild(t, plain(Zstd), []Record{{}, {Offset: 1}})
	b := Batches(append(append(bytes.Clone(one), two...), two[:70]...))
	var sizes []int
	for h, batch := range b.All() {
		if h.Size() != len(batch) {
			t.Fatal(h.Size(), len(batch))
		}
		sizes = append(sizes, len(batch))
	}
	if !reflect.DeepEqual(sizes, []int{len(one), len(two)}) {
		t.Fatal(sizes)
	}
}
