package record

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

func heldOf(t testing.TB, r *Asked, moved bool) (Held, Header) {
	inner := mustBuild(t, plain(Zstd), []Record{{Value: []byte("a")}, {Value: []byte("b"), Offset: 1}})
	h, _ := ParseHeader(inner)
	h.ProducerID, h.ProducerEpoch, h.BaseSequence = 7, 3, 9
	held := Held{Appended: 1000, Batch: inner}
	for i, due := range r.Due {
		one := HeldRecord{Due: due, Size: uint32(i) * 1000, Origin: kafka.NoOffset, Was: kafka.NoOffset}
		if moved {
			one.Origin, one.Was = kafka.Offset(i), 1<<40+kafka.Offset(i)
		}
		held.Records = append(held.Records, one)
	}
	return held, h
}

// A held batch reads back, covers the offsets and sequences of the batch in it, and looks to clients like a control batch of a type they skip.
func TestHeldBatchesReadBack(t *testing.T) {
	for _, moved := range []bool{false, true} {
		held, inner := heldOf(t, &Asked{Due: []kafka.Timestamp{kafka.NoTimestamp, 1 << 50}}, moved)
		b, err := BuildHeld(nil, &inner, &held)
		if err != nil {
			t.Fatal(err)
		}
		h, err := Check(b)
		if err != nil || !h.IsControl() || h.IsTransactional() || h.Records != 1 || h.LastOffsetDelta != 1 || h.ProducerID != 7 || h.ProducerEpoch != 3 || h.BaseSequence != 9 || h.LastSequence() != 10 {
			t.Fatalf("%+v, %v", h, err)
		}
		got, ok, err := ParseHeld(b, &h)
		if err != nil || !ok || !reflect.DeepEqual(got, held) {
			t.Errorf("got %+v, %v, %v", got, ok, err)
		}
		for r, err := range Records(b, 0) {
			if err != nil || len(r.Key) != 4 || r.Offset != h.LastOffset() {
				t.Errorf("the control record is %+v, %v", r, err)
			}
			if _, marker, err := ParseEndTxnMarker(&r); marker || err != nil {
				t.Errorf("it is taken for a marker, %v", err)
			}
		}
		if _, _, err := Validate(b, &Rules{}, 0); kafka.CodeOf(err) != kafka.InvalidRecord {
			t.Errorf("a client may write it: %v", err)
		}
	}
	marker, _ := BuildEndTxnMarker(nil, PlainOptions(), EndTxnMarker{}, 0)
	h, _ := ParseHeader(marker)
	if _, ok, err := ParseHeld(marker, &h); ok || err != nil {
		t.Errorf("a marker is taken for a held batch, %v", err)
	}
}

// Clients may not say that the broker has released something.
func TestClientsCannotRelease(t *testing.T) {
	o := plain(None)
	o.Released = true
	b := mustBuild(t, o, someRecords(seeded(t), 3))
	if h, _ := ParseHeader(b); !h.IsReleased() {
		t.Error("the mark is not there")
	}
	if _, _, err := Validate(b, &Rules{}, 0); kafka.CodeOf(err) != kafka.InvalidRecord {
		t.Error(err)
	}
}

// REC-1, REC-4: topics with delays take batches as they are, and walk only those in which something may ask.
func TestDelaysChangeNoBatch(t *testing.T) {
	for _, c := range allCodecs {
		recs := someRecords(seeded(t), 5)
		recs[3].Headers = append(recs[3].Headers, RecordHeader{Key: DelayMs, Value: []byte("250")})
		b := mustBuild(t, plain(c), recs)
		before := bytes.Clone(b)
		var asked Asked
		out, _, err := ValidateAsking(b, &Rules{Delays: true}, 1000, &asked)
		if err != nil || !bytes.Equal(out, before) {
			t.Fatalf("%v: %v", c, err)
		}
		if len(asked.Sizes) != 5 || len(asked.Due) != 5 || asked.Due[3] != 1250 || asked.Due[0] != kafka.NoTimestamp || !asked.Later(1249) || asked.Later(1250) {
			t.Errorf("%v: %+v", c, asked)
		}
	}
	var asked Asked
	if _, _, err := ValidateAsking(mustBuild(t, plain(None), someRecords(seeded(t), 5)), &Rules{Delays: true}, 1000, &asked); err != nil || asked.Sizes != nil {
		t.Errorf("records were walked though none asks: %+v, %v", asked, err)
	}
}

// REC-2: any value of a control record is read or refused, in proportion to its bytes.
func FuzzParseHeld(f *testing.F) {
	for _, moved := range []bool{false, true} {
		held, inner := heldOf(f, &Asked{Due: []kafka.Timestamp{5, 6}}, moved)
		b, err := BuildHeld(nil, &inner, &held)
		if err != nil {
			f.Fatal(err)
		}
		for r := range Records(b, 0) {
			f.Add(r.Value, int32(1))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte, delta int32) {
		h := Header{LastOffsetDelta: delta}
		held, err := parseHeld(value, &h)
		if err != nil {
			if kafka.CodeOf(err) != kafka.CorruptMessage {
				t.Error(err)
			}
			return
		}
		for i := range held.Records {
			if held.Due(i) < held.Appended {
				t.Errorf("record %d is due at %d, before %d", i, held.Due(i), held.Appended)
			}
		}
	})
}
