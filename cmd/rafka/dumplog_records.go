package main

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/record"
)

type dumpedRecord struct {
	Offset        int64    `json:"offset"`
	TimestampType string   `json:"-"`
	Timestamp     int64    `json:"timestamp"`
	KeySize       int      `json:"keySize"`   // -1: null
	ValueSize     int      `json:"valueSize"` // -1: null
	Sequence      int32    `json:"sequence"`
	HeaderKeys    []string `json:"headerKeys"`
	Key           *string  `json:"key"`
	KeyEncoding   string   `json:"key_encoding,omitempty"`
	Payload       *string  `json:"payload"`
	Encoding      string   `json:"payload_encoding,omitempty"`
	Control       string   `json:"endTxnMarker,omitempty"`
}

// dumpedRecords reads the records with the client's decoder, not with the broker's: a tool that looks for the broker's
// mistakes should not share them.
func dumpedRecords(h *record.Header, b []byte) ([]dumpedRecord, error) {
	fetched, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, Offset: int64(h.BaseOffset)},
		&kmsg.FetchResponseTopicPartition{RecordBatches: b}, kgo.DefaultDecompressor(), nil)
	if fetched.Err != nil {
		return nil, fmt.Errorf("the records of the batch at offset %d: %w", h.BaseOffset, fetched.Err)
	}
	if len(fetched.Records) != int(h.Records) {
		return nil, fmt.Errorf("the batch at offset %d says %d records and holds %d", h.BaseOffset, h.Records, len(fetched.Records))
	}
	out := make([]dumpedRecord, 0, len(fetched.Records))
	for _, r := range fetched.Records {
		v := dumpedRecord{Offset: r.Offset, TimestampType: "CreateTime", Timestamp: r.Timestamp.UnixMilli(), KeySize: len(r.Key), ValueSize: len(r.Value), Sequence: -1, HeaderKeys: []string{}}
		if h.IsLogAppendTime() {
			v.TimestampType = "LogAppendTime"
		}
		if r.Key == nil {
			v.KeySize = -1
		}
		if r.Value == nil {
			v.ValueSize = -1
		}
		if h.BaseSequence >= 0 {
			v.Sequence = int32(h.BaseSequence.Add(int32(r.Offset - int64(h.BaseOffset))))
		}
		for _, header := range r.Headers {
			v.HeaderKeys = append(v.HeaderKeys, header.Key)
		}
		v.Key, v.KeyEncoding = jsonBytes(r.Key)
		v.Payload, v.Encoding = jsonBytes(r.Value)
		if h.IsControl() {
			v.Control = controlType(r.Key)
		}
		out = append(out, v)
	}
	return out, nil
}

// controlType reads the key of a control record: version (int16), type (int16).
func controlType(key []byte) string {
	if len(key) < 4 {
		return "malformed"
	}
	switch int(key[2])<<8 | int(key[3]) {
	case 0:
		return "ABORT"
	case 1:
		return "COMMIT"
	case 0x7261:
		return "DELAYED" // records whose time has not come (docs/format/segments.md)
	}
	return "unknown"
}

// String is the line that kafka-dump-log prints with --print-data-log. Bytes that are not UTF-8 are base64.
func (r *dumpedRecord) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "| offset: %d %s: %d keySize: %d valueSize: %d sequence: %d headerKeys: [%s]", r.Offset, r.TimestampType, r.Timestamp,
		r.KeySize, r.ValueSize, r.Sequence, strings.Join(r.HeaderKeys, ","))
	if r.Control != "" {
		fmt.Fprintf(&s, " endTxnMarker: %s", r.Control)
		return s.String()
	}
	if r.Key != nil {
		fmt.Fprintf(&s, " key: %s", encoded(*r.Key, r.KeyEncoding))
	}
	if r.Payload != nil {
		fmt.Fprintf(&s, " payload: %s", encoded(*r.Payload, r.Encoding))
	}
	return s.String()
}

func encoded(s, encoding string) string {
	if encoding == "" {
		return s
	}
	return encoding + ":" + s
}
