package record

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

// benchRecords are n records of size bytes that compress about as well as JSON does.
func benchRecords(n, size int) []Record {
	recs := make([]Record, n)
	for i := range recs {
		line := fmt.Appendf(nil, `{"id":%d,"user":"u%d","amount":%d.%02d,"note":"`, i, i*7919%1000, i*31%500, i%100)
		value := append(line, bytes.Repeat(line, size/len(line)+1)...)[:size]
		recs[i] = Record{Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(1_700_000_000_000 + i), Key: fmt.Appendf(nil, "k%d", i), Value: value}
	}
	return recs
}

func perCodec(b *testing.B, each func(b *testing.B, c Codec, batch []byte)) {
	for _, c := range allCodecs {
		batch := mustBuild(b, plain(c), benchRecords(512, 1000))
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(512 * 1000)
			b.ReportAllocs()
			each(b, c, batch)
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	perCodec(b, func(b *testing.B, c Codec, batch []byte) {
		for b.Loop() {
			if _, _, err := Validate(batch, &Rules{}, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// One record of 100 bytes: what a request costs when it is small.
func BenchmarkValidateSmall(b *testing.B) {
	batch := mustBuild(b, plain(None), benchRecords(1, 100))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Validate(batch, &Rules{}, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidateWalked(b *testing.B) {
	perCodec(b, func(b *testing.B, c Codec, batch []byte) {
		for b.Loop() {
			if _, _, err := Validate(batch, &Rules{RequireKeys: true}, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRecompress(b *testing.B) {
	perCodec(b, func(b *testing.B, c Codec, _ []byte) {
		batch := mustBuild(b, plain(None), benchRecords(512, 1000))
		for b.Loop() {
			if _, _, err := Validate(batch, &Rules{Recompress: true, Codec: c}, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRecords(b *testing.B) {
	perCodec(b, func(b *testing.B, c Codec, batch []byte) {
		for b.Loop() {
			for _, err := range Records(batch, 0) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	recs := benchRecords(512, 1000)
	var dst []byte
	perCodec(b, func(b *testing.B, c Codec, _ []byte) {
		for b.Loop() {
			var err error
			if dst, err = Build(dst[:0], plain(c), recs); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkStampAppendTime(b *testing.B) {
	perCodec(b, func(b *testing.B, c Codec, batch []byte) {
		for b.Loop() {
			StampAppendTime(batch, 1)
		}
	})
}
