package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// mostOffsetLines bounds a file of offsets: Kafka clusters have fewer partitions.
const mostOffsetLines = 1_000_000

// readOffsetFile reads the offsets of a group from a file, or from in if it is called "-".
func readOffsetFile(in io.Reader, name, group string) (map[topicPartition]int64, error) {
	if name != "-" {
		f, err := openOffsetFile(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	offsets, err := parseOffsetFile(in, group)
	if err == nil && len(offsets) == 0 {
		err = fmt.Errorf("it has no offsets of group %q", group)
	}
	if err != nil {
		return nil, fmt.Errorf("--from-file %s: %w", name, err)
	}
	return offsets, nil
}

// parseOffsetFile reads lines of topic,partition,offset or group,topic,partition,offset, as kafka-consumer-groups writes them; those of
// other groups are skipped, and so are empty lines and a headline. A partition may be named once.
func parseOffsetFile(in io.Reader, group string) (map[topicPartition]int64, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.ReuseRecord, r.TrimLeadingSpace, r.Comment = -1, true, true, '#'
	offsets := make(map[topicPartition]int64)
	for n := 0; ; n++ {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return offsets, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if n >= mostOffsetLines {
			return nil, fmt.Errorf("more than %d lines", mostOffsetLines)
		}
		if len(fields) == 4 {
			if fields[0] != group {
				continue
			}
			fields = fields[1:]
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d has %d fields: want topic,partition,offset or group,topic,partition,offset", line, len(fields))
		}
		if n == 0 && strings.EqualFold(fields[0], "topic") && strings.EqualFold(fields[1], "partition") {
			continue
		}
		partition, err := strconv.ParseInt(strings.TrimSpace(fields[1]), 10, 32)
		if err != nil || partition < 0 || fields[0] == "" {
			return nil, fmt.Errorf("line %d: %q is no partition of a topic", line, fields[1])
		}
		offset, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil || offset < 0 {
			return nil, fmt.Errorf("line %d: %q is no offset", line, fields[2])
		}
		tp := topicPartition{strings.Clone(fields[0]), int32(partition)}
		if _, again := offsets[tp]; again {
			return nil, fmt.Errorf("line %d names %s/%d again", line, tp.topic, tp.partition)
		}
		offsets[tp] = offset
	}
}

// writeOffsetFile writes what parseOffsetFile reads. The names of topics need no quotes. Errors show at the flush.
func writeOffsetFile(out *bufio.Writer, moves []seekMove) {
	for _, m := range moves {
		fmt.Fprintf(out, "%s,%d,%d\n", m.Topic, m.Partition, m.New)
	}
}
