package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

// What the caller says is what the server hears, and the other way round, also from a later version that says more.
func TestHellosArriveAsTheyWereSaid(t *testing.T) {
	for _, h := range []hello{
		{lowest: 1, highest: 1, node: 3, clusterID: "c"},
		{lowest: 1, highest: 7, flags: onlyOnce, node: kafka.NoBroker},
		{lowest: 0, highest: 65535, flags: 0xFF, node: 1<<31 - 1, clusterID: strings.Repeat("x", maxClusterID)},
	} {
		b := h.appendTo(nil)
		if string(b[:4]) != magic {
			t.Fatalf("a hello begins with %q", b[:4])
		}
		got, err := readHello(bytes.NewReader(b[4:]))
		if err != nil || got != h {
			t.Errorf("said %+v, heard %+v, %v", h, got, err)
		}
		longer := append(bytes.Clone(b), "what comes later"...)
		binary.BigEndian.PutUint32(longer[4:], binary.BigEndian.Uint32(b[4:])+16)
		if got, err := readHello(bytes.NewReader(longer[4:])); err != nil || got != h {
			t.Errorf("of a later version: said %+v, heard %+v, %v", h, got, err)
		}
		for n := 4; n < len(b); n++ {
			if _, err := readHello(bytes.NewReader(b[4:n])); err == nil {
				t.Errorf("a hello cut to %d of %d bytes was understood", n, len(b))
			}
		}
	}
	for _, w := range []welcome{
		{version: 1, node: 2, clusterID: "c"},
		{code: kafka.InconsistentClusterID, node: kafka.NoBroker, message: "no"},
		{version: 1, code: kafka.UnknownServerError, node: 0, clusterID: strings.Repeat("y", maxClusterID), message: strings.Repeat("z", maxHello/2)},
	} {
		b := w.appendTo(nil)
		if got, err := readWelcome(bytes.NewReader(b)); err != nil || got != w {
			t.Errorf("said %+v, heard %+v, %v", w, got, err)
		}
		for n := range b {
			if _, err := readWelcome(bytes.NewReader(b[:n])); err == nil {
				t.Errorf("a welcome cut to %d of %d bytes was understood", n, len(b))
			}
		}
	}
}

// (LNK-3)
func TestHellosThatLieAreRefusedBeforeMemoryIsReserved(t *testing.T) {
	for name, b := range map[string][]byte{
		"4 GiB":              {0xFF, 0xFF, 0xFF, 0xFF},
		"just too long":      binary.BigEndian.AppendUint32(nil, maxHello+1),
		"no fields":          {0, 0, 0, 0},
		"no cluster id":      append([]byte{0, 0, 0, 10}, 0, 1, 0, 1, 0, 0, 0, 0, 1, 5),
		"versions backwards": append([]byte{0, 0, 0, 10}, 0, 2, 0, 1, 0, 0, 0, 0, 1, 0),
		"node -2":            append([]byte{0, 0, 0, 10}, 0, 1, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFE, 0),
	} {
		if _, err := readHello(bytes.NewReader(b)); !errors.Is(err, errHello) {
			t.Errorf("%s: error %v, want %v", name, err, errHello)
		}
	}
	if _, err := readWelcome(strings.NewReader("HTTP/1.1 400 Bad Request")); !errors.Is(err, errHello) {
		t.Errorf("error %v, want %v", err, errHello)
	}
	if _, err := readWelcome(strings.NewReader("")); err != io.EOF {
		t.Errorf("error %v, want EOF", err)
	}
}

// FuzzHello: no bytes make the decoders panic, and what they understand they say again in the same way.
func FuzzHello(f *testing.F) {
	f.Add(hello{lowest: 1, highest: 1, node: 3, clusterID: "c"}.appendTo(nil))
	f.Add(welcome{version: 1, node: 2, clusterID: "c", message: "m"}.appendTo(nil))
	f.Add([]byte("RKP1\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= len(magic) {
			if h, err := readHello(bytes.NewReader(b[len(magic):])); err == nil {
				if again, err := readHello(bytes.NewReader(h.appendTo(nil)[len(magic):])); err != nil || again != h {
					t.Errorf("%+v became %+v, %v", h, again, err)
				}
			}
		}
		if w, err := readWelcome(bytes.NewReader(b)); err == nil && len(w.message) <= maxHello/2 {
			if again, err := readWelcome(bytes.NewReader(w.appendTo(nil))); err != nil || again != w {
				t.Errorf("%+v became %+v, %v", w, again, err)
			}
		}
	})
}
