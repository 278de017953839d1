package textsrv

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
)

// escape is the slow opposite of unescape.
func escape(b []byte) string {
	if b == nil {
		return `\N`
	}
	var s strings.Builder
	s.WriteString(`\e`)
	for _, c := range b {
		if c > ' ' && c < 0x7f && c != '\\' {
			s.WriteByte(c)
		} else {
			fmt.Fprintf(&s, `\x%02x`, c)
		}
	}
	return s.String()
}

// Any bytes go in by escapes and come out by JSON unchanged, null and empty told apart (TXT-2).
func TestBytesSurvive(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	random := func() []byte {
		switch dice.IntN(8) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		b := make([]byte, dice.IntN(40))
		for i := range b {
			if b[i] = byte(dice.Uint32()); dice.IntN(3) > 0 {
				b[i] &= 0x7f
			}
		}
		return b
	}
	for range 5000 {
		key, value := random(), random()
		c, err := parse([]byte("PRODUCE t " + escape(key) + " " + escape(value)))
		if err != nil {
			t.Fatalf("key %q value %q: %v", key, value, err)
		}
		line := appendRecord(nil, &broker.TailRecord{Record: record.Record{Offset: 7, Key: c.key, Value: c.value}}, false)
		if bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("%q breaks its line", line)
		}
		text, found := bytes.CutPrefix(line, []byte("7:"))
		var got struct {
			Offset      int64
			Key, Value  *string
			KeyBase64   *string `json:"key_base64"`
			ValueBase64 *string `json:"value_base64"`
		}
		if err := json.Unmarshal(text, &got); err != nil || !found || got.Offset != 7 {
			t.Fatalf("%q: %v", line, err)
		}
		for _, part := range []struct {
			name         string
			want         []byte
			text, base64 *string
		}{{"key", key, got.Key, got.KeyBase64}, {"value", value, got.Value, got.ValueBase64}} {
			var back []byte
			switch {
			case part.text != nil:
				back = append([]byte{}, *part.text...)
			case part.base64 != nil:
				if back, err = base64.StdEncoding.DecodeString(*part.base64); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(back, part.want) || (back == nil) != (part.want == nil) {
				t.Fatalf("%s %q came back as %q in %s", part.name, part.want, back, line)
			}
		}
	}
}

// Headers are shown where there are any.
func TestHeadersAreShown(t *testing.T) {
	r := broker.TailRecord{Partition: 3, Record: record.Record{Value: []byte("v"), Headers: []record.RecordHeader{{Key: "a", Value: []byte("\x00")}, {Key: "b"}}}}
	const want = `0:{"partition":3,"offset":0,"key":null,"value":"v","headers":[{"key":"a","value":"\u0000"},{"key":"b","value":null}]}`
	if got := string(appendRecord(nil, &r, true)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzParse: no line panics, an error is printable, what is understood as PRODUCE means the same when written with escapes, and so do groups and
// ids; limits hold (TXT-3).
func FuzzParse(f *testing.F) {
	for _, line := range []string{"", " ", "PRODUCE t k v", `PRODUCE t \N \x00\n\\`, `produce t - {"a":"\n"}`, "CONSUME t * latest FOLLOW LIMIT 3", "CREATE t 9", "QUIT", "\\", "PRODUCE t k \\x",
		"CONSUME t GROUP g FOLLOW LIMIT 2", "COMMIT", `commit t 0 17 group two\x20words`, "OFFSETS GROUP g", "OFFSETS QUEUE w", "GROUPS", "TAKE t QUEUE w 5 WAIT 30",
		"PEEK t QUEUE w 3", "ACK t/0/1 t/0/2 t/0/1", "RELEASE", "REJECT t/2147483647/9223372036854775807", "RENEW t/0/-1", "TAKE t QUEUE \\N"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := parse(bytes.Clone(line))
		if err != nil {
			if s := errorLine(err); strings.Count(s, "\n") != 1 || strings.ContainsFunc(s[:len(s)-1], func(r rune) bool { return r < ' ' }) {
				t.Errorf("the error %q cannot be shown", s)
			}
			return
		}
		if c.group != "" {
			again, err := parse([]byte("OFFSETS GROUP " + word(c.group)))
			if err != nil || again.group != c.group {
				t.Errorf("%q: group %q came back as %q: %v", line, c.group, again.group, err)
			}
		}
		for _, id := range c.ids {
			if again, err := parseMessageID(id.String()); err != nil || again != id {
				t.Errorf("%q: id %v came back as %v: %v", line, id, again, err)
			}
		}
		if len(c.ids) > maxTake || c.count > maxTake || c.wait > maxWait {
			t.Errorf("%q is beyond the limits: %d ids, %d messages, %s", line, len(c.ids), c.count, c.wait)
		}
		if c.verb == verbProduce {
			again, err := parse([]byte("PRODUCE " + c.topic + " " + escape(c.key) + " " + escape(c.value)))
			if err != nil || !bytes.Equal(again.key, c.key) || !bytes.Equal(again.value, c.value) || (again.key == nil) != (c.key == nil) || (again.value == nil) != (c.value == nil) {
				t.Errorf("%q: %q %q came back as %q %q: %v", line, c.key, c.value, again.key, again.value, err)
			}
		}
	})
}

// FuzzLines: however the bytes arrive in pieces, the lines are those of a simple split.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nbb\r\n\nccc"), uint8(1))
	f.Add([]byte(strings.Repeat("x", 5000)+"\ny\n"), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		const limit = 4200
		grown := 0
		l := lines{r: bufio.NewReaderSize(&pieces{rest: stream, size: int(piece)*16 + 1}, 64), limit: limit, grow: func() error { grown++; return nil }}
		whole := bytes.Split(stream, []byte("\n"))
		for i, want := range whole {
			got, err := l.next()
			for errors.Is(err, iotest.ErrTimeout) {
				got, err = l.next() // a deadline loses nothing
			}
			if i == len(whole)-1 {
				if err != io.EOF {
					t.Fatalf("after the last line: %q, %v", got, err)
				}
				if rest := l.rest(); len(want) <= limit && !bytes.Equal(rest, want) {
					t.Fatalf("rest %q, want %q", rest, want)
				}
				return
			}
			want = bytes.TrimSuffix(want, []byte("\r"))
			if len(want) > limit {
				if err != errLineTooLong {
					t.Fatalf("line of %d bytes: %v", len(want), err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("line %d: %q, %v, want %q", i, got, err, want)
			}
		}
	})
}

// pieces gives a stream away in pieces of a size, with a timeout between any two.
type pieces struct {
	rest   []byte
	size   int
	paused bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.paused = !p.paused; p.paused {
		return 0, iotest.ErrTimeout
	}
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

func BenchmarkParseProduce(b *testing.B) {
	b.ReportAllocs()
	line := []byte("PRODUCE orders customer-17 " + strings.Repeat("x", 100))
	for b.Loop() {
		if _, err := parse(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	b.ReportAllocs()
	r := broker.TailRecord{Record: record.Record{Offset: 1 << 40, Key: []byte("customer-17"), Value: bytes.Repeat([]byte("x"), 100)}}
	var dst []byte
	for b.Loop() {
		dst = appendRecord(dst[:0], &r, false)
	}
}

var _ Verbs = (*brokertest.Broker)(nil)
