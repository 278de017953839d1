package record

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/rafka-io/rafka/internal/kafka"
)

// maxKeptBuffer is the largest scratch buffer that goes back into a pool. One large batch must not pin its memory for ever.
const maxKeptBuffer = 4 << 20

// An encoder compresses what is written to it; Close ends the stream. It belongs to one goroutine between compressor and its release.
type encoder interface {
	io.WriteCloser
	reset(w io.Writer)
}

// encoderKind tells encoders apart that are made differently.
type encoderKind struct {
	codec Codec
	level int // of the library, see libraryLevel
}

// encoders hold idle encoders by encoderKind. There are few kinds: levels are folded into those that the libraries have.
var encoders sync.Map // encoderKind -> *sync.Pool

// compressor returns an encoder that writes to w, and the function that gives it back.
func compressor(c Codec, level int, w io.Writer) (e encoder, release func(), err error) {
	if !c.known() || c == None {
		return nil, nil, kafka.Errorf(kafka.UnsupportedCompressionType, "%v is nothing to compress with: use gzip, snappy, lz4 or zstd", c)
	}
	kind := encoderKind{c, libraryLevel(c, level)}
	p, ok := encoders.Load(kind)
	if !ok {
		p, _ = encoders.LoadOrStore(kind, new(sync.Pool))
	}
	encoding.begin()
	pool := p.(*sync.Pool)
	e, _ = pool.Get().(encoder)
	if e == nil {
		e = newEncoder(kind)
	}
	e.reset(w)
	return e, func() { e.reset(nil); pool.Put(e); encoding.end() }, nil
}

// libraryLevel translates Kafka's compression levels into those of our libraries; 0 is the codec's default, as is what lies outside.
// Kafka's lz4 levels are 1-17, of which 9, the default, means the fast compressor; ours has fast and nine slower ones.
func libraryLevel(c Codec, level int) int {
	switch c {
	case Gzip:
		if level < gzip.BestSpeed || level > gzip.BestCompression {
			return gzip.DefaultCompression
		}
		return level
	case LZ4:
		if level <= 0 || level == 9 {
			return int(lz4.Fast)
		}
		return int(lz4.Level1) << (min(level, 9) - 1)
	case Zstd:
		if level == 0 {
			level = 3
		}
		return int(zstd.EncoderLevelFromZstd(level))
	default:
		return 0
	}
}

func newEncoder(kind encoderKind) encoder {
	var e encoder
	var err error
	switch kind.codec {
	case Gzip:
		var w *gzip.Writer
		w, err = gzip.NewWriterLevel(nil, kind.level)
		e = &gzipEncoder{w}
	case Snappy:
		e = &snappyEncoder{}
	case LZ4:
		w := lz4.NewWriter(nil)
		// Small independent blocks without checksums of the content: what Java's reader takes at the least memory. The batch has a CRC.
		err = w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4.CompressionLevel(kind.level)))
		e = &lz4Encoder{w}
	default:
		var w *zstd.Encoder
		// A batch is about a megabyte: larger windows cost memory and find nothing more.
		w, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(kind.level)), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
		e = &zstdEncoder{w}
	}
	if err != nil {
		panic("encoder with constant options: " + err.Error())
	}
	return e
}

type gzipEncoder struct{ *gzip.Writer }

func (e *gzipEncoder) reset(w io.Writer) { e.Reset(w) }

type lz4Encoder struct{ *lz4.Writer }

func (e *lz4Encoder) reset(w io.Writer) { e.Reset(w) }

type zstdEncoder struct{ *zstd.Encoder }

func (e *zstdEncoder) reset(w io.Writer) { e.Reset(w) }

// appender is a Writer that appends to buf until buf would be longer than limit bytes; then it refuses with kafka.MessageTooLarge.
type appender struct {
	buf   []byte
	limit int // 0: none
}

func (a *appender) Write(p []byte) (int, error) {
	if a.limit > 0 && len(p) > a.limit-len(a.buf) {
		return 0, kafka.Errorf(kafka.MessageTooLarge, "the batch is larger than %d bytes once compressed as the topic asks: send smaller batches or raise max.message.bytes", a.limit)
	}
	a.buf = append(a.buf, p...)
	return len(p), nil
}
