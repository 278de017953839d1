package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/rafka-io/rafka/internal/record"
)

// batchView has the names that kafka-dump-log prints.
type batchView struct {
	BaseOffset      int64  `json:"baseOffset"`
	LastOffset      int64  `json:"lastOffset"`
	Count           int32  `json:"count"`
	BaseSequence    int32  `json:"baseSequence"`
	LastSequence    int32  `json:"lastSequence"`
	ProducerID      int64  `json:"producerId"`
	ProducerEpoch   int16  `json:"producerEpoch"`
	LeaderEpoch     int32  `json:"partitionLeaderEpoch"`
	IsTransactional bool   `json:"isTransactional"`
	IsControl       bool   `json:"isControl"`
	DeleteHorizon   *int64 `json:"deleteHorizonMs"`
	Position        int64  `json:"position"`
	TimestampType   string `json:"timestampType"`
	Timestamp       int64  `json:"maxTimestamp"`
	Size            int    `json:"size"`
	Magic           int8   `json:"magic"`
	Codec           string `json:"compresscodec"`
	CRC             uint32 `json:"crc"`
	IsValid         bool   `json:"isvalid"`

	Records []dumpedRecord `json:"records,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// dumpBatches prints every batch up to the end, or up to the first that is not valid, which is an error.
func (d *dumper) dumpBatches(in *bufio.Reader, size int64) error {
	var buf []byte
	for at := int64(0); at < size; {
		head, err := in.Peek(record.HeaderSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if allZero(head) {
			return d.zeroTail(in, at)
		}
		h, ok := record.ParseHeader(head)
		switch {
		case !ok && d.max > 0:
			return nil // cut by --max-bytes
		case !ok:
			return fmt.Errorf("position %d: the file ends within the header of a batch (%d of %d bytes)", at, len(head), record.HeaderSize)
		case h.Magic != 2:
			return fmt.Errorf("position %d: no batch of format 2 (magic is %d): damaged, or written by a Kafka older than 0.11", at, h.Magic)
		case h.Length < record.HeaderSize-record.LengthOffset:
			return fmt.Errorf("position %d: a batch cannot be %d bytes long", at, h.Size())
		case int64(h.Size()) > size-at && d.max > 0:
			return nil
		case int64(h.Size()) > size-at:
			return fmt.Errorf("position %d: the batch at offset %d is cut off: %d of %d bytes", at, h.BaseOffset, size-at, h.Size())
		}
		buf = slices.Grow(buf[:0], h.Size())[:h.Size()]
		if _, err := io.ReadFull(in, buf); err != nil {
			return fmt.Errorf("position %d: %w", at, err)
		}
		if err := d.dumpBatch(&h, buf, at); err != nil {
			return fmt.Errorf("position %d: %w", at, err)
		}
		at += int64(h.Size())
	}
	return nil
}

// dumpBatch prints one batch also when it is not valid, so that its fields can be judged.
func (d *dumper) dumpBatch(h *record.Header, b []byte, at int64) error {
	v := viewBatch(h, at)
	var invalid error
	const attributesAt = 21
	if sum := crc32.Checksum(b[attributesAt:], castagnoli); sum != h.CRC {
		invalid = fmt.Errorf("the batch at offset %d is damaged: its CRC says %d, its bytes %d", h.BaseOffset, h.CRC, sum)
	} else if v.LastOffset < v.BaseOffset || h.Records < 0 {
		invalid = fmt.Errorf("the batch at offset %d is not valid: last offset %d, %d records", h.BaseOffset, v.LastOffset, h.Records)
	}
	v.IsValid = invalid == nil
	if d.records && v.IsValid {
		v.Records, invalid = dumpedRecords(h, b)
		v.IsValid = invalid == nil
	}
	err := d.line(v, func(w io.Writer) {
		horizon := "OptionalLong.empty"
		if v.DeleteHorizon != nil {
			horizon = fmt.Sprintf("OptionalLong[%d]", *v.DeleteHorizon)
		}
		fmt.Fprintf(w, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
			"partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s position: %d %s: %d size: %d magic: %d "+
			"compresscodec: %s crc: %d isvalid: %t", v.BaseOffset, v.LastOffset, v.Count, v.BaseSequence, v.LastSequence, v.ProducerID,
			v.ProducerEpoch, v.LeaderEpoch, v.IsTransactional, v.IsControl, horizon, v.Position, v.TimestampType, v.Timestamp, v.Size,
			v.Magic, v.Codec, v.CRC, v.IsValid)
		for i := range v.Records {
			fmt.Fprintf(w, "\n%s", &v.Records[i])
		}
	})
	return firstError(invalid, err)
}

func viewBatch(h *record.Header, at int64) batchView {
	v := batchView{
		BaseOffset: int64(h.BaseOffset), LastOffset: int64(h.LastOffset()), Count: h.Records, BaseSequence: int32(h.BaseSequence),
		LastSequence: int32(h.LastSequence()), ProducerID: int64(h.ProducerID), ProducerEpoch: int16(h.ProducerEpoch),
		LeaderEpoch: int32(h.LeaderEpoch), IsTransactional: h.IsTransactional(), IsControl: h.IsControl(), Position: at,
		TimestampType: "CreateTime", Timestamp: int64(h.MaxTimestamp), Size: h.Size(), Magic: h.Magic,
		Codec: h.Codec().String(), CRC: h.CRC,
	}
	if h.IsLogAppendTime() {
		v.TimestampType = "LogAppendTime"
	}
	if h.HasDeleteHorizon() {
		horizon := int64(h.BaseTimestamp)
		v.DeleteHorizon = &horizon
	}
	return v
}

// zeroTail is for the room that a broker reserves at the end of the segment it writes to. Anything but zeros in it is damage.
func (d *dumper) zeroTail(in *bufio.Reader, at int64) error {
	var n int64
	for {
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			if !d.asJSON {
				fmt.Fprintf(d.out, "position %d: zeros up to the end, %d bytes reserved and not written\n", at, n)
			}
			return nil
		case err != nil:
			return err
		case b != 0:
			return fmt.Errorf("position %d: %d bytes of zeros where a batch should begin", at, n)
		}
		n++
	}
}
