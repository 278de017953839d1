package record

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

// fuzzLimit keeps fuzzed bombs small.
const fuzzLimit = 1 << 20

func seeds(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range allCodecs {
		f.Add(mustBuild(f, plain(c), someRecords(r, 5)))
		f.Add(theirs(f, c, someRecords(r, 3)))
	}
	f.Add([]byte{})
	marker, err := BuildEndTxnMarker(nil, PlainOptions(), EndTxnMarker{Commit: true}, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(marker)
}

// REC-2: All yields whole batches that follow each other, and nothing else.
func FuzzAll(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		walked := 0
		for h, batch := range Batches(b).All() {
			if h.Size() != len(batch) || !bytes.Equal(batch, b[walked:walked+len(batch)]) {
				t.Fatalf("batch at %d: %+v", walked, h)
			}
			walked += len(batch)
		}
	})
}

// REC-2: any bytes, with the CRC made right so that it does not hide the rest, give an error or a batch that reads back.
func FuzzValidate(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := ParseHeader(b); ok && h.Length >= HeaderSize-LengthOffset && h.Size() <= len(b) {
			sealCRC(b[:h.Size()])
		}
		h, err := Check(b)
		if code := kafka.CodeOf(err); code != kafka.None && code != kafka.CorruptMessage && code != kafka.UnsupportedForMessageFormat {
			t.Fatalf("Check: %v", err)
		}
		if err == nil && (h.Size() > len(b) || h.LastOffset() < h.BaseOffset) {
			t.Fatalf("Check: %+v", h)
		}
		before := bytes.Clone(b)
		for _, rules := range []Rules{
			{}, {Delays: true, MaxDecompressed: fuzzLimit}, {RequireKeys: true, MaxDecompressed: fuzzLimit},
			{Recompress: true, Codec: LZ4, MaxBatchBytes: fuzzLimit, MaxDecompressed: fuzzLimit}, {Recompress: true, Codec: None, MaxBatchBytes: fuzzLimit},
		} {
			got, gh, err := Validate(b, &rules, 0)
			if !bytes.Equal(b, before) {
				t.Fatal("Validate changed its input")
			}
			if err != nil {
				if kafka.CodeOf(err) == kafka.UnknownServerError {
					t.Fatalf("an error without a code: %v", err)
				}
				continue
			}
			again, err := Check(append(bytes.Clone(got), "more"...)) // base offsets of producers are arbitrary
			if err != nil && gh.BaseOffset >= 0 && gh.LastOffset() >= gh.BaseOffset {
				t.Fatalf("valid for producers, not for the log: %v", err)
			}
			if err == nil && again != gh {
				t.Fatalf("%+v, Check says %+v", gh, again)
			}
			if sent, _ := ParseHeader(b); !rules.rewrites(&sent) && !rules.walks(b, &sent) || gh.Codec() == Zstd {
				continue
			}
			recs, err := collect(got, 64<<20)
			if err != nil || len(recs) != int(gh.Records) {
				t.Fatalf("a valid batch has %d records of %d: %v", len(recs), gh.Records, err)
			}
		}
	})
}

// REC-2: records of damaged batches end in an error, those of whole ones survive a round through Build, and the walk agrees with the reader.
func FuzzRecords(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		recs, err := collect(b, fuzzLimit)
		if code := kafka.CodeOf(err); err != nil && code != kafka.CorruptMessage && code != kafka.InvalidRecord && code != kafka.UnsupportedForMessageFormat && code != kafka.UnsupportedCompressionType {
			t.Fatal(err)
		}
		_, _, walkErr := MaxTimestamp(b, fuzzLimit)
		if err == nil && walkErr != nil {
			t.Fatalf("Records reads what the walk does not: %v", walkErr)
		}
		for i := range recs {
			_, _, _ = ParseEndTxnMarker(&recs[i])
		}
		if err != nil || len(recs) == 0 || recs[0].Offset < 0 || recs[len(recs)-1].Offset < recs[0].Offset {
			return
		}
		o := PlainOptions()
		o.BaseOffset = recs[0].Offset
		built, err := Build(nil, o, recs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := collect(built, 0)
		if err != nil || len(again) != len(recs) {
			t.Fatalf("%d records of %d: %v", len(again), len(recs), err)
		}
		for i := range recs {
			if !sameRecord(recs[i], again[i]) {
				t.Fatalf("record %d: %+v, want %+v", i, again[i], recs[i])
			}
		}
	})
}

// REC-2: decompressors take any bytes, stop at the limit and hand nothing from one stream to the next.
func FuzzDecompress(f *testing.F) {
	o := PlainOptions()
	payload := appendRecords(nil, &o, 0, someRecords(rand.New(rand.NewPCG(1, 2)), 5))
	for _, c := range allCodecs[1:] {
		out := appender{}
		enc, release, err := compressor(c, 0, &out)
		if err != nil {
			f.Fatal(err)
		}
		if _, err = enc.Write(payload); err == nil {
			err = enc.Close()
		}
		if err != nil {
			f.Fatal(err)
		}
		release()
		f.Add(uint8(c), out.buf)
	}
	f.Fuzz(func(t *testing.T, c uint8, src []byte) {
		codec := Codec(c % 5)
		first, err := decompress(codec, src, fuzzLimit)
		if err != nil && kafka.CodeOf(err) == kafka.UnknownServerError {
			t.Fatalf("an error without a code: %v", err)
		}
		if len(first) > fuzzLimit {
			t.Fatalf("%d bytes", len(first))
		}
		if codec != None {
			if r, release, err := open(codec, payload); err == nil { // leaves its traces in a pooled decoder
				_, _ = io.CopyN(io.Discard, r, fuzzLimit)
				release()
			}
		}
		second, errAgain := decompress(codec, src, fuzzLimit)
		if !bytes.Equal(first, second) || (err == nil) != (errAgain == nil) {
			t.Fatalf("the same bytes give %d bytes (%v), then %d (%v)", len(first), err, len(second), errAgain)
		}
	})
}
