package record

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// broken returns a copy of b with the CRC made right again after change.
func broken(b []byte, change func(b []byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	sealCRC(b)
	return b
}

func at32(i int, v uint32) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint32(b[i:], v) }
}

// Each lie in a header has Kafka's code. (REC-3 for the counts.)
func TestValidateRefusesWithKafkasCodes(t *testing.T) {
	good := mustBuild(t, plain(None), someRecords(seeded(t), 3))
	gzip := mustBuild(t, plain(Gzip), someRecords(seeded(t), 3))
	attribute := func(bit byte) func([]byte) { return func(b []byte) { b[22] |= bit } }
	for _, tc := range []struct {
		name string
		b    []byte
		code kafka.ErrorCode
	}{
		{"good", good, kafka.None},
		{"nothing", nil, kafka.InvalidRecord},
		{"too short for a magic", good[:16], kafka.CorruptMessage},
		{"too short for a header", good[:60], kafka.CorruptMessage},
		{"cut by one byte", good[:len(good)-1], kafka.CorruptMessage},
		{"two batches", append(bytes.Clone(good), good...), kafka.InvalidRecord},
		{"trailing bytes", append(bytes.Clone(good), 1, 2, 3), kafka.InvalidRecord},
		{"magic 0", broken(good, func(b []byte) { b[16] = 0 }), kafka.InvalidRecord},
		{"magic 1", broken(good, func(b []byte) { b[16] = 1 }), kafka.InvalidRecord},
		{"magic 3", broken(good, func(b []byte) { b[16] = 3 }), kafka.CorruptMessage},
		{"negative length", broken(good, at32(8, math.MaxUint32)), kafka.CorruptMessage},
		{"length below the header", broken(good, at32(8, 48)), kafka.CorruptMessage},
		{"length of 2 GiB", broken(good, at32(8, math.MaxInt32)), kafka.CorruptMessage},
		{"flipped CRC", func() []byte { b := bytes.Clone(good); b[crcAt]++; return b }(), kafka.CorruptMessage},
		{"flipped record", func() []byte { b := bytes.Clone(good); b[len(b)-1]++; return b }(), kafka.CorruptMessage},
		{"codec 5", broken(good, attribute(5)), kafka.UnsupportedCompressionType},
		{"control", broken(good, attribute(attrControl)), kafka.InvalidRecord},
		{"delete horizon", broken(good, attribute(attrDeleteHorizon)), kafka.InvalidRecord},
		{"log append time", broken(good, attribute(attrLogAppendTime)), kafka.InvalidTimestamp},
		{"transactional without producer", broken(good, attribute(attrTransactional)), kafka.InvalidRecord},
		{"no records", broken(good, func(b []byte) { at32(57, 0)(b); at32(23, math.MaxUint32)(b) }), kafka.InvalidRecord},
		{"more records than offsets", broken(good, at32(57, 4)), kafka.InvalidRecord},
		{"fewer records than offsets", broken(good, at32(57, 2)), kafka.InvalidRecord},
		{"2^31-1 records", broken(gzip, func(b []byte) { at32(57, math.MaxInt32)(b); at32(23, math.MaxInt32-1)(b) }), kafka.InvalidRecord},
		{"count above what is there", broken(good, func(b []byte) { at32(57, 4)(b); at32(23, 3)(b) }), kafka.InvalidRecord},
		{"count below what is there", broken(good, func(b []byte) { at32(57, 2)(b); at32(23, 1)(b) }), kafka.InvalidRecord},
		{"producer without sequence", broken(good, func(b []byte) { binary.BigEndian.PutUint64(b[43:], 5); binary.BigEndian.PutUint16(b[51:], 0) }), kafka.InvalidRecord},
		{"producer without epoch", broken(good, func(b []byte) { binary.BigEndian.PutUint64(b[43:], 5); at32(53, 0)(b) }), kafka.InvalidRecord},
		{"producer", broken(good, func(b []byte) {
			binary.BigEndian.PutUint64(b[43:], 5)
			binary.BigEndian.PutUint16(b[51:], 0)
			at32(53, 0)(b)
		}), kafka.None},
		{"sequence without producer, as Sarama sends", broken(good, at32(53, 0)), kafka.None},
	} {
		if _, _, err := Validate(tc.b, &Rules{}, 0); kafka.CodeOf(err) != tc.code {
			t.Errorf("%s: %v (%v), want %v", tc.name, kafka.CodeOf(err), err, tc.code)
		}
	}
	if _, _, err := Validate(good, &Rules{MaxBatchBytes: len(good)}, 0); err != nil {
		t.Error(err)
	}
	if _, _, err := Validate(good, &Rules{MaxBatchBytes: len(good) - 1}, 0); kafka.CodeOf(err) != kafka.MessageTooLarge {
		t.Error(err)
	}
	if _, err := Check(broken(good, func(b []byte) { b[16] = 1 })); kafka.CodeOf(err) != kafka.UnsupportedForMessageFormat {
		t.Error("an old format on disk:", err)
	}
}

// Compressed lies are found when a rule has the records walked, and only then (REC-4).
func TestWalkFindsWhatTheHeaderHides(t *testing.T) {
	for _, c := range allCodecs[1:] {
		good := mustBuild(t, plain(c), someRecords(seeded(t), 3))
		more := broken(good, func(b []byte) { at32(57, 4)(b); at32(23, 3)(b) })
		fewer := broken(good, func(b []byte) { at32(57, 2)(b); at32(23, 1)(b) })
		cut := broken(good[:len(good)-3], at32(8, uint32(len(good)-3-LengthOffset)))
		junk := broken(good, func(b []byte) { copy(b[HeaderSize:], "no compressed data") })
		for name, b := range map[string][]byte{"more": more, "fewer": fewer, "cut": cut, "junk": junk} {
			if _, _, err := Validate(b, &Rules{}, 0); err != nil {
				t.Errorf("%v %s: decompressed though no rule asks: %v", c, name, err)
			}
			if _, _, err := Validate(b, &Rules{CheckRecords: true}, 0); kafka.CodeOf(err) != kafka.InvalidRecord {
				t.Errorf("%v %s: %v", c, name, err)
			}
			if _, err := collect(b, 0); kafka.CodeOf(err) != kafka.CorruptMessage {
				t.Errorf("%v %s: Records: %v", c, name, err)
			}
		}
	}
}

// REC-4: the one function that says which rules need the records.
func TestNeedsRecords(t *testing.T) {
	zstd := Header{Attributes: int16(Zstd)}
	for _, tc := range []struct {
		r    Rules
		want bool
	}{
		{Rules{}, false},
		{Rules{MaxBatchBytes: 1, TimestampBeforeMax: 1, TimestampAfterMax: 1, MaxDecompressed: 1, TimestampType: LogAppendTime}, false},
		{Rules{RequireKeys: true}, true},
		{Rules{CheckRecords: true}, true},
		{Rules{Recompress: true, Codec: Zstd}, false},
		{Rules{Recompress: true, Codec: None}, true},
	} {
		if got := tc.r.NeedsRecords(&zstd); got != tc.want {
			t.Errorf("%+v: %v", tc.r, got)
		}
	}
}

func TestCompactedTopicNeedsKeys(t *testing.T) {
	for _, c := range allCodecs {
		keyed := []Record{{Key: []byte{}}, {Offset: 1, Key: []byte("k")}}
		if _, _, err := Validate(mustBuild(t, plain(c), keyed), &Rules{RequireKeys: true}, 0); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		keyed[1].Key = nil
		if _, _, err := Validate(mustBuild(t, plain(c), keyed), &Rules{RequireKeys: true}, 0); kafka.CodeOf(err) != kafka.InvalidRecord {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestTimestampLimits(t *testing.T) {
	const now = 1_700_000_000_000
	second := Rules{TimestampBeforeMax: time.Second, TimestampAfterMax: time.Second}
	walking := second
	walking.CheckRecords = true
	none := Rules{TimestampBeforeMax: 1, TimestampAfterMax: 1}
	stamped := second
	stamped.TimestampType = LogAppendTime
	for _, tc := range []struct {
		r     Rules
		times []kafka.Timestamp
		code  kafka.ErrorCode
	}{
		{Rules{}, []kafka.Timestamp{math.MinInt64 / 2, math.MaxInt64 / 2}, kafka.None},
		{second, []kafka.Timestamp{now - 1000, now + 1000}, kafka.None},
		{second, []kafka.Timestamp{now - 1001}, kafka.InvalidTimestamp},
		{second, []kafka.Timestamp{now, now + 1001}, kafka.InvalidTimestamp},
		{second, []kafka.Timestamp{now, now - 1001, now}, kafka.None}, // neither first nor largest: only a walk sees it
		{walking, []kafka.Timestamp{now, now - 1001, now}, kafka.InvalidTimestamp},
		{walking, []kafka.Timestamp{now, kafka.NoTimestamp, now}, kafka.None},
		{second, []kafka.Timestamp{kafka.NoTimestamp}, kafka.None},
		{none, []kafka.Timestamp{now}, kafka.None},
		{none, []kafka.Timestamp{now + 1}, kafka.InvalidTimestamp},
		{none, []kafka.Timestamp{now - 1}, kafka.InvalidTimestamp},
		{stamped, []kafka.Timestamp{1, math.MaxInt64}, kafka.None},
	} {
		recs := make([]Record, len(tc.times))
		for i, ts := range tc.times {
			recs[i] = Record{Offset: kafka.Offset(i), Timestamp: ts}
		}
		if _, _, err := Validate(mustBuild(t, plain(Snappy), recs), &tc.r, now); kafka.CodeOf(err) != tc.code {
			t.Errorf("%v: %v, want %v", tc.times, err, tc.code)
		}
	}
}

// compression.type: the records stay what they were, whatever the codecs; a batch that has the codec already is left alone.
func TestRecompressionKeepsTheRecords(t *testing.T) {
	r := seeded(t)
	for _, from := range allCodecs {
		for _, to := range allCodecs {
			o := plain(from)
			o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = 3, 1, 7, true
			recs := someRecords(r, 200)
			b := mustBuild(t, o, recs)
			before := bytes.Clone(b)
			got, h, err := Validate(b, &Rules{Recompress: true, Codec: to}, 0)
			if err != nil {
				t.Fatalf("%v to %v: %v", from, to, err)
			}
			if from == to && &got[0] != &b[0] {
				t.Errorf("%v was rewritten in %v", from, to)
			}
			if !bytes.Equal(b, before) {
				t.Errorf("%v to %v: the request's bytes changed", from, to)
			}
			checked, err := Check(got)
			if err != nil || checked != h || h.Codec() != to || h.ProducerID != 3 || h.BaseSequence != 7 || !h.IsTransactional() || h.Size() != len(got) {
				t.Fatalf("%v to %v: %+v %v", from, to, h, err)
			}
			had, _ := collect(b, 0)
			has, err := collect(got, 0)
			if err != nil || len(has) != len(had) {
				t.Fatalf("%v to %v: %v", from, to, err)
			}
			for i := range had {
				if !bytes.Equal(had[i].Value, has[i].Value) || had[i].Offset != has[i].Offset || had[i].Timestamp != has[i].Timestamp {
					t.Fatalf("%v to %v: record %d differs", from, to, i)
				}
			}
		}
	}
}

// A batch that grows beyond max.message.bytes when it is rewritten is refused as one that came too large.
func TestRecompressionObeysTheSizeLimit(t *testing.T) {
	recs := []Record{{Value: bytes.Repeat([]byte("x"), 100_000)}}
	for _, to := range allCodecs {
		b := mustBuild(t, plain(Zstd), recs)
		r := Rules{MaxBatchBytes: len(b), Recompress: true, Codec: to}
		_, _, err := Validate(b, &r, 0)
		if to == Zstd && err != nil || to != Zstd && kafka.CodeOf(err) != kafka.MessageTooLarge {
			t.Errorf("to %v: %v", to, err)
		}
	}
}

// The produce path allocates nothing for a batch that no rule wants to look into.
func TestValidateDoesNotAllocate(t *testing.T) {
	rules := Rules{MaxBatchBytes: 1 << 20, TimestampBeforeMax: time.Hour, TimestampAfterMax: time.Hour}
	for _, c := range allCodecs {
		b := mustBuild(t, plain(c), someRecords(seeded(t), 100))
		if n := testing.AllocsPerRun(100, func() {
			if _, _, err := Validate(b, &rules, 1_700_000_000_000); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%v: %v allocations", c, n)
		}
	}
}
