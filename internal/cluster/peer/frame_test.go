package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

func TestFramesArriveAsTheyWereSent(t *testing.T) {
	body := bytes.Repeat([]byte("body"), 100)
	b := appendCall(nil, 7, "heartbeat", body)
	b = appendAnswer(b, 8, body)
	b = appendAnswer(b, 9, nil)
	b = appendFailure(b, 10, kafka.NotController, "ask another one")
	b = appendHeader(b, cancelKind, 11, 0)
	b = appendHeader(b, pingKind, 0, 0)
	r := iotest.OneByteReader(bytes.NewReader(b))
	for _, want := range []struct {
		h     header
		check func(payload []byte) bool
	}{
		{header{callKind, 7, 1 + 9 + len(body)}, func(p []byte) bool {
			m, got, err := parseCall(p)
			return err == nil && string(m) == "heartbeat" && bytes.Equal(got, body)
		}},
		{header{answerKind, 8, len(body)}, func(p []byte) bool { return bytes.Equal(p, body) }},
		{header{answerKind, 9, 0}, func(p []byte) bool { return len(p) == 0 }},
		{header{failureKind, 10, 2 + 15}, func(p []byte) bool {
			err := parseFailure(p)
			return err.Code == kafka.NotController && err.Message == "ask another one"
		}},
		{header{cancelKind, 11, 0}, func([]byte) bool { return true }},
		{header{pingKind, 0, 0}, func([]byte) bool { return true }},
	} {
		h, err := readHeader(r, len(body))
		if err != nil || h != want.h {
			t.Fatalf("header %+v, %v, want %+v", h, err, want.h)
		}
		payload := make([]byte, h.size)
		if _, err := io.ReadFull(r, payload); err != nil || !want.check(payload) {
			t.Errorf("payload of %+v is %q, %v", h, payload, err)
		}
	}
}

// (LNK-3)
func TestFramesThatLieAreRefusedBeforeMemoryIsReserved(t *testing.T) {
	frame := func(size uint32, k kind) []byte {
		return append(binary.BigEndian.AppendUint32(nil, size), byte(k), 0, 0, 0, 0, 0, 0, 0, 1)
	}
	for name, b := range map[string][]byte{
		"4 GiB":             frame(1<<32-1, callKind),
		"just too long":     frame(1000+frameSlack+1, answerKind),
		"too short":         frame(8, callKind),
		"nothing":           frame(0, pingKind),
		"unknown kind":      frame(9, 99),
		"ping with a body":  frame(10, pingKind),
		"cancel of 4 bytes": frame(13, cancelKind),
		"failure, no code":  frame(10, failureKind),
		"failure too long":  frame(9+2+maxMessage+1, failureKind),
	} {
		maxBody := 1000
		if name == "failure too long" {
			maxBody = 1 << 20
		}
		if _, err := readHeader(bytes.NewReader(b), maxBody); !errors.Is(err, errFrame) {
			t.Errorf("%s: error %v, want %v", name, err, errFrame)
		}
	}
	for _, payload := range []string{"", "\x05meth"} {
		if _, _, err := parseCall([]byte(payload)); !errors.Is(err, errFrame) {
			t.Errorf("the call %q gives %v", payload, err)
		}
	}
}

func TestLongMessagesAreCutBetweenCharacters(t *testing.T) {
	for _, message := range []string{strings.Repeat("a", maxMessage+1), "a" + strings.Repeat("ß", maxMessage), "ab" + strings.Repeat("😀", maxMessage), strings.Repeat("\x80", 2*maxMessage)} {
		got := cut(message)
		if len(got) > maxMessage || len(got) < maxMessage-utf8.UTFMax || !strings.HasPrefix(message, got) || utf8.ValidString(message) && !utf8.ValidString(got) {
			t.Errorf("%d bytes were cut to %d, valid %v", len(message), len(got), utf8.ValidString(got))
		}
	}
}

// A claim gets no memory before bytes come (LNK-3).
func TestBuffersGrowWithWhatComes(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	want := make([]byte, 3<<20)
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	for _, n := range []int{0, 1, 4096, 4097, firstRoom - 1, firstRoom, firstRoom + 1, 1 << 20, 3 << 20} {
		for _, shown := range []int{0, 1 << 20, 64 << 20} {
			f, err := readBuffer(iotest.HalfReader(bytes.NewReader(want[:n])), n, shown)
			if err != nil || !bytes.Equal(f.b, want[:n]) {
				t.Fatalf("%d bytes, shown %d: %v", n, shown, err)
			}
			f.free()
		}
	}
	if _, err := readBuffer(bytes.NewReader(want[:10]), 1<<30, 0); err != io.ErrUnexpectedEOF {
		t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
	}
	small, err := readBuffer(strings.NewReader("x"), 1, 0)
	if err != nil || cap(small.b) > 1<<smallestBits {
		t.Errorf("one byte is kept in %d: %v", cap(small.b), err)
	}
}

// FuzzFrames: no bytes make the decoders panic or claim more than is allowed.
func FuzzFrames(f *testing.F) {
	f.Add(appendCall(nil, 1, "m", []byte("body")))
	f.Add(appendFailure(appendAnswer(nil, 2, []byte("x")), 3, kafka.NotController, "m"))
	f.Add(appendHeader(nil, pingKind, 0, 0))
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		const maxBody = 1000
		r := bytes.NewReader(b)
		for {
			h, err := readHeader(r, maxBody)
			if err != nil {
				return
			}
			if h.size > maxBody+1+maxMethod {
				t.Fatalf("a frame of %d bytes was let through", h.size)
			}
			payload, err := readBytes(r, h.size)
			if err != nil {
				return
			}
			switch h.kind {
			case callKind:
				if m, body, err := parseCall(payload); err == nil && !bytes.Equal(appendCall(nil, h.id, string(m), body)[headerSize:], payload) {
					t.Errorf("a call became another one")
				}
			case failureKind:
				if parseFailure(payload).Code == kafka.None {
					t.Errorf("a failure has no code")
				}
			}
		}
	})
}
