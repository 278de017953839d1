package record

import (
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Codec is how the records of a batch are compressed (attributes bits 0-2). A value above Zstd comes from a damaged or newer batch.
type Codec int8

// The codecs of Kafka's format.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

var codecNames = [...]string{None: "none", Gzip: "gzip", Snappy: "snappy", LZ4: "lz4", Zstd: "zstd"}

// known reports whether c is one of the codecs above.
func (c Codec) known() bool { return c >= None && c <= Zstd }

// String is the name that clients use: none, gzip, snappy, lz4 or zstd.
func (c Codec) String() string {
	if c.known() {
		return codecNames[c]
	}
	return "codec " + strconv.Itoa(int(c))
}

// ParseCodec reads what String writes, and "uncompressed", as topics spell none. "producer" is no codec: it means "leave as it is".
func ParseCodec(s string) (Codec, error) {
	if s == "uncompressed" {
		return None, nil
	}
	for c, name := range codecNames {
		if s == name {
			return Codec(c), nil
		}
	}
	return None, kafka.Errorf(kafka.UnsupportedCompressionType, "unknown compression %q: use none, gzip, snappy, lz4 or zstd", s)
}
