package wires

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/seed"
)

// WIR-1, WIR-4
func TestBytesArriveUnderEveryKindOfTrouble(t *testing.T) {
	for name, rule := range map[string]Rule{
		"none":      {},
		"delay":     {Delay: 2 * time.Millisecond, Jitter: 2 * time.Millisecond},
		"disorder":  {Jitter: 2 * time.Millisecond, Reorder: true},
		"loss":      {Loss: 0.02},
		"duplicate": {Duplicate: 0.2},
		"all":       {Loss: 0.01, Duplicate: 0.05, Delay: time.Millisecond, Jitter: time.Millisecond, Reorder: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := New(t, 2, seed.Of(t))
			n.Both(0, 1, rule)
			a, b := pair(t, n)
			sent := bytes.Repeat([]byte("0123456789abcdef"), 4096)
			go func() {
				_, _ = a.Write(sent)
				_ = a.Close()
			}()
			_ = b.SetReadDeadline(time.Now().Add(20 * time.Second))
			got, err := io.ReadAll(b)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
				t.Fatalf("%d bytes of %d came, %v", len(got), len(sent), err)
			}
		})
	}
}

// WIR-2, WIR-3
func TestACutIsSilentAndOneWay(t *testing.T) {
	n := New(t, 3, seed.Of(t))
	a, b := pair(t, n)
	n.Set(0, 1, Rule{Cut: true})
	speak(t, b, a, true) // the other direction
	speak(t, a, b, false)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := n.Dial(0, 20*time.Second)(ctx, "tcp", n.Addr(1)+":700"); err == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("dialled through a cut: %v, %v; want silence", c, err)
	}
	if _, err := n.Dial(2, 20*time.Second)(t.Context(), "tcp", n.Addr(1)+":701"); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dialled a port where nobody listens, from a host that is not cut: %v, want a refusal", err)
	}
	n.Heal()
	_ = b.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(b, make([]byte, 1)); err != nil {
		t.Errorf("what was sent into the cut did not come after it: %v", err)
	}
}

// pair is a connection from host 0 to host 1.
func pair(t *testing.T, n *Net) (a, b net.Conn) {
	t.Helper()
	l, err := n.Listen(1, 700)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err = n.Dial(0, 20*time.Second)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return a, b
}

// speak sends a byte and looks whether it comes.
func speak(t *testing.T, from, to net.Conn, comes bool) {
	t.Helper()
	if _, err := from.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	patience := 300 * time.Millisecond
	if comes {
		patience = 20 * time.Second
	}
	_ = to.SetReadDeadline(time.Now().Add(patience))
	_, err := io.ReadFull(to, make([]byte, 1))
	if (err == nil) != comes {
		t.Errorf("reading: %v, want a byte: %v", err, comes)
	}
}
