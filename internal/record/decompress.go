package record

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/rafka-io/rafka/internal/kafka"
)

// zstdWindow is the window that pooled decoders accept: all that zstd's levels up to 19 ask for. A decoder allocates the window that a
// frame names, so this bounds what a few hostile bytes can cost. Levels 20-22 name up to zstdLargeWindow, zstd's own default limit.
const (
	zstdWindow      = 8 << 20
	zstdLargeWindow = 128 << 20
)

// A decoder turns the compressed records of one batch into a stream. It belongs to one goroutine between open and its release.
type decoder interface {
	io.Reader
	reset(src []byte) error
}

// open returns a stream of src decompressed and a function that gives the decoder back; after it the stream must not be used. Streams
// are not limited here: who reads them counts.
func open(c Codec, src []byte) (r io.Reader, release func(), err error) {
	if c == Zstd && needsLargeWindow(src) {
		return openLargeZstd(src)
	}
	if !c.known() || c == None {
		return nil, nil, kafka.Errorf(kafka.UnsupportedCompressionType, "records are compressed with %v, which this broker does not know", c)
	}
	decoding.begin()
	pool := &decoders[c]
	d, _ := pool.Get().(decoder)
	if d == nil {
		d = newDecoder(c)
	}
	release = func() {
		_ = d.reset(nil) // lets go of src; what it says about an empty input does not matter
		pool.Put(d)
		decoding.end()
	}
	if err := d.reset(src); err != nil {
		release()
		return nil, nil, err
	}
	return d, release, nil
}

// decoders hold idle decoders by codec. Their buffers are worth keeping: a zstd window costs more than most batches.
var decoders [Zstd + 1]sync.Pool

func newDecoder(c Codec) decoder {
	switch c {
	case Gzip:
		return &gzipDecoder{}
	case Snappy:
		return &snappyDecoder{}
	case LZ4:
		return &lz4Decoder{}
	default:
		return newZstdDecoder(zstdWindow)
	}
}

type gzipDecoder struct {
	gzip.Reader
	src bytes.Reader
}

func (d *gzipDecoder) reset(src []byte) error {
	d.src.Reset(src)
	return d.Reader.Reset(&d.src)
}

type lz4Decoder struct {
	*lz4.Reader
	src bytes.Reader
}

// reset takes a new reader for each stream: the library keeps the dictionary of linked blocks over its own Reset, and a crafted frame could
// then read what another batch held. Its large buffers are pooled inside the library; Reset returns them.
func (d *lz4Decoder) reset(src []byte) error {
	d.src.Reset(src)
	if d.Reader != nil {
		d.Reader.Reset(nil)
		d.Reader = nil
	}
	if src != nil {
		d.Reader = lz4.NewReader(&d.src)
	}
	return nil
}

type zstdDecoder struct {
	*zstd.Decoder
	src bytes.Reader
}

func newZstdDecoder(window uint64) *zstdDecoder {
	// One block at a time on the caller's goroutine: no goroutine of the library outlives a call, so pooled decoders need no Close.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		panic("zstd decoder with constant options: " + err.Error())
	}
	return &zstdDecoder{Decoder: d}
}

func (d *zstdDecoder) reset(src []byte) error {
	d.src.Reset(src)
	return d.Decoder.Reset(&d.src)
}

// largeZstd admits one frame with a large window at a time: together they never cost more than one zstdLargeWindow. Held from open to
// release, for computing only. The decoder is kept for the next that waits: what the collector has not yet found would come on top.
var (
	largeZstd         sync.Mutex
	largeZstdDecoders sync.Pool // of *zstdDecoder
)

func needsLargeWindow(src []byte) bool {
	var h zstd.Header
	if err := h.Decode(src); err != nil || h.Skippable {
		return false // the pooled decoder will say what is wrong
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize // such a frame is its own window
	}
	return window > zstdWindow
}

func openLargeZstd(src []byte) (io.Reader, func(), error) {
	largeZstd.Lock()
	d, _ := largeZstdDecoders.Get().(*zstdDecoder)
	if d == nil {
		d = newZstdDecoder(zstdLargeWindow)
	}
	release := func() {
		_ = d.reset(nil)
		largeZstdDecoders.Put(d)
		largeZstd.Unlock()
	}
	if err := d.reset(src); err != nil {
		release()
		return nil, nil, err
	}
	return d, release, nil
}

// decompress returns src decompressed in a buffer of its own. More than most bytes are kafka.InvalidRecord; the buffer grows with what is
// really there, so what a header claims costs nothing.
func decompress(c Codec, src []byte, most int) ([]byte, error) {
	r, release, err := open(c, src)
	if err != nil {
		return nil, damaged(c, err)
	}
	defer release()
	first := 4*len(src) + 512 // usual ratios need no second allocation
	dst := make([]byte, 0, min(first, 1<<20, most+1))
	for {
		if len(dst) == cap(dst) {
			dst = append(make([]byte, 0, min(2*cap(dst), most+1)), dst...)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > most {
			return nil, tooLarge(most)
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, damaged(c, err)
		}
	}
}

// tooLarge is what Kafka answers when max.decompressed.message.bytes is exceeded.
func tooLarge(most int) error {
	return kafka.Errorf(kafka.InvalidRecord, "the records decompress to more than %d bytes: send smaller batches or raise max.decompressed.message.bytes", most)
}

// damaged says that a compressed stream cannot be read. A code that err has already stays.
func damaged(c Codec, err error) error {
	var coded *kafka.Error
	if errors.As(err, &coded) {
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the stream has not even begun
	}
	return kafka.Errorf(kafka.CorruptMessage, "decompress %v records: %w", c, err)
}
