package percent

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func recordCode(c rune, arg string, hasArg bool) (piece, error) {
	switch c {
	case 't':
		return func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Topic...) }, nil
	case 'p':
		return number(func(r *kgo.Record) int64 { return int64(r.Partition) }), nil
	case 'o':
		return number(func(r *kgo.Record) int64 { return r.Offset }), nil
	case 'e':
		return number(func(r *kgo.Record) int64 { return int64(r.LeaderEpoch) }), nil
	case 'k':
		return func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Key...) }, nil
	case 'K':
		return number(func(r *kgo.Record) int64 { return length(r.Key) }), nil
	case 's', 'v':
		return func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Value...) }, nil
	case 'S', 'V':
		return number(func(r *kgo.Record) int64 { return length(r.Value) }), nil
	case 'R':
		return func(dst []byte, r *kgo.Record) []byte {
			return binary.BigEndian.AppendUint32(dst, uint32(length(r.Value)))
		}, nil
	case 'T':
		return number(func(r *kgo.Record) int64 { return r.Timestamp.UnixMilli() }), nil
	case 'd':
		layout := "2006-01-02T15:04:05.000Z07:00"
		if hasArg {
			layout = arg
		}
		return func(dst []byte, r *kgo.Record) []byte { return r.Timestamp.In(time.UTC).AppendFormat(dst, layout) }, nil
	case 'h':
		if hasArg {
			return eachHeader(arg)
		}
		return appendHeaders, nil
	case 'H':
		return number(func(r *kgo.Record) int64 { return int64(len(r.Headers)) }), nil
	case 'x':
		return number(func(r *kgo.Record) int64 { return r.ProducerID }), nil
	case 'y':
		return number(func(r *kgo.Record) int64 { return int64(r.ProducerEpoch) }), nil
	}
	return nil, fmt.Errorf("unknown code %%%c; known are %%t %%p %%o %%e %%k %%K %%s %%v %%S %%V %%R %%T %%d %%h %%H %%x %%y %%%%", c)
}

func number(of func(*kgo.Record) int64) piece {
	return func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, of(r), 10) }
}

// length tells null (-1) from empty (0).
func length(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

func appendHeaders(dst []byte, r *kgo.Record) []byte {
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, h.Key...), '='), h.Value...)
	}
	return dst
}

// eachHeader compiles the inner template of %h{…}, which knows only %k and %v.
func eachHeader(template string) (piece, error) {
	type headerPiece func([]byte, kgo.RecordHeader) []byte
	var inner []headerPiece
	err := parse(template, func(lit []byte) {
		inner = append(inner, func(dst []byte, _ kgo.RecordHeader) []byte { return append(dst, lit...) })
	}, func(c rune, _ string, _ bool) error {
		switch c {
		case 'k':
			inner = append(inner, func(dst []byte, h kgo.RecordHeader) []byte { return append(dst, h.Key...) })
		case 'v', 's':
			inner = append(inner, func(dst []byte, h kgo.RecordHeader) []byte { return append(dst, h.Value...) })
		default:
			return fmt.Errorf("unknown code %%%c in %%h{…}; known are %%k and %%v", c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return func(dst []byte, r *kgo.Record) []byte {
		for _, h := range r.Headers {
			for _, p := range inner {
				dst = p(dst, h)
			}
		}
		return dst
	}, nil
}
