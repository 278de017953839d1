package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/framing"
	"github.com/rafka-io/rafka/cmd/rafka/internal/percent"
)

// record makes one of a piece of input; it keeps raw.
func (m *recordMaker) record(raw []byte) *kgo.Record {
	r := &kgo.Record{Key: m.key, Value: raw, Headers: m.headers, Timestamp: m.timestamp, Partition: m.partition}
	if len(m.keyDelimiter) > 0 {
		if key, value, ok := bytes.Cut(raw, m.keyDelimiter); ok {
			r.Key, r.Value = key, value
		}
	}
	switch {
	case len(r.Value) > 0:
	case m.tombstone:
		r.Value = nil
	default:
		r.Value = []byte{} // a nil one would become null
	}
	return r
}

// input is where records come from.
type input struct {
	o         *produceOptions
	maker     recordMaker
	delimiter []byte
	stdin     io.Reader
	progress  io.Writer // where to draw a progress bar for files; nil: nowhere
}

func (o *produceOptions) input(stdin io.Reader, progress io.Writer) (*input, error) {
	maker, err := o.maker(time.Now())
	if err != nil {
		return nil, err
	}
	delimiter, err := percent.Unescape(o.delimiter)
	switch {
	case err != nil:
		return nil, usagef("--delimiter: %w", err)
	case len(delimiter) == 0:
		return nil, usagef("--delimiter is empty; to send all input as one record use --whole")
	case len(o.messages) > 0 && (len(o.files) > 0 || o.whole):
		return nil, usagef("--message gives the records itself: leave out --file and --whole")
	}
	return &input{o, maker, delimiter, stdin, progress}, nil
}

// each calls send for every record, in order.
func (in *input) each(send func(*kgo.Record) error) error {
	for _, m := range in.o.messages {
		if err := send(in.maker.record([]byte(m))); err != nil {
			return err
		}
	}
	for _, name := range in.o.files {
		if err := in.eachInFile(name, send); err != nil {
			return err
		}
	}
	if len(in.o.messages)+len(in.o.files) > 0 {
		return nil
	}
	return in.eachIn(in.stdin, send)
}

func (in *input) eachInFile(name string, send func(*kgo.Record) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && in.progress != nil {
		bar := progressbar.NewOptions64(info.Size(), progressbar.OptionSetWriter(in.progress), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(name), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		defer bar.Close()
		r = io.TeeReader(f, bar)
	}
	if err := in.eachIn(r, send); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (in *input) eachIn(r io.Reader, send func(*kgo.Record) error) error {
	if in.o.whole {
		raw, err := framing.ReadWhole(r, in.o.maxMessageBytes)
		if err != nil {
			return err
		}
		return send(in.maker.record(raw))
	}
	records := framing.NewReader(r, in.delimiter, in.o.maxMessageBytes)
	for {
		raw, err := records.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := send(in.maker.record(raw)); err != nil {
			return err
		}
	}
}
