package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/percent"
)

// recordWriter prints one record.
type recordWriter func(out *bufio.Writer, r *kgo.Record) error

// newRecordWriter reads --format.
func newRecordWriter(format, delimiter string, metaOnly bool) (recordWriter, error) {
	view := viewRecord
	if metaOnly {
		view = viewMeta
	}
	switch {
	case format == "text":
		return writeJSON(view, "  "), nil
	case format == "json":
		return writeJSON(view, ""), nil
	case format == "yaml":
		return writeYAML(view), nil
	case metaOnly:
		return nil, usagef("--meta-only goes with --format text, json or yaml; leave keys and values out of a template instead")
	case format == "raw":
		end, err := percent.Unescape(delimiter)
		if err != nil {
			return nil, usagef("--delimiter: %w", err)
		}
		return func(out *bufio.Writer, r *kgo.Record) error {
			_, err := out.Write(r.Value)
			if err == nil {
				_, err = out.Write(end)
			}
			return err
		}, nil
	case !strings.ContainsAny(format, `%\`):
		return nil, usagef("--format %q is none of text, json, yaml, raw, and no template either (it has no %% code)", format)
	}
	return newTemplateWriter(format)
}

func newTemplateWriter(format string) (recordWriter, error) {
	f, err := percent.Compile(format)
	if err != nil {
		return nil, usagef("--format: %w", err)
	}
	var line []byte
	return func(out *bufio.Writer, r *kgo.Record) error {
		line = f.Append(line[:0], r)
		_, err := out.Write(line)
		return err
	}, nil
}

// recordView is a record in JSON. A null key or value stays null.
type recordView struct {
	metaView
	Key           *string      `json:"key"`
	KeyEncoding   string       `json:"key_encoding,omitempty"`
	Headers       []headerView `json:"headers,omitempty"`
	Value         *string      `json:"value"`
	ValueEncoding string       `json:"value_encoding,omitempty"`
}

type metaView struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970
}

type headerView struct {
	Key           string  `json:"key"`
	Value         *string `json:"value"`
	ValueEncoding string  `json:"value_encoding,omitempty"`
}

type sizesView struct {
	metaView
	KeySize   int `json:"key_size"`
	ValueSize int `json:"value_size"`
	Headers   int `json:"headers"`
}

func metaOf(r *kgo.Record) metaView {
	return metaView{r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli()}
}

func viewMeta(r *kgo.Record) any {
	return sizesView{metaOf(r), len(r.Key), len(r.Value), len(r.Headers)}
}

func viewRecord(r *kgo.Record) any {
	v := recordView{metaView: metaOf(r)}
	v.Key, v.KeyEncoding = jsonBytes(r.Key)
	v.Value, v.ValueEncoding = jsonBytes(r.Value)
	for _, h := range r.Headers {
		value, encoding := jsonBytes(h.Value)
		v.Headers = append(v.Headers, headerView{h.Key, value, encoding})
	}
	return v
}

// jsonBytes makes a JSON string of b: as it is if it is UTF-8, otherwise base64, and then it says so.
func jsonBytes(b []byte) (value *string, encoding string) {
	if b == nil {
		return nil, ""
	}
	s := string(b)
	if !utf8.Valid(b) {
		s, encoding = base64.StdEncoding.EncodeToString(b), "base64"
	}
	return &s, encoding
}

func writeJSON(view func(*kgo.Record) any, indent string) recordWriter {
	var enc *json.Encoder
	var to *bufio.Writer
	return func(out *bufio.Writer, r *kgo.Record) error {
		if to != out {
			to, enc = out, json.NewEncoder(out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", indent)
		}
		return enc.Encode(view(r))
	}
}

func writeYAML(view func(*kgo.Record) any) recordWriter {
	var buf bytes.Buffer
	return func(out *bufio.Writer, r *kgo.Record) error {
		buf.Reset()
		if err := json.NewEncoder(&buf).Encode(view(r)); err != nil {
			return err
		}
		doc, err := yaml.JSONToYAML(buf.Bytes())
		if err != nil {
			return err
		}
		if _, err := out.WriteString("---\n"); err != nil {
			return err
		}
		_, err = out.Write(doc)
		return err
	}
}
