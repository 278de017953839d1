package abuse

import (
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"
)

// 400 connections that claim frames of 95 MiB with twelve bytes each cost next to nothing, and others are served.
func TestClaimsOfLargeFramesReserveNothing(t *testing.T) {
	w := start(t)
	peak := w.peak()
	b := binary.BigEndian.AppendUint32(hello(), 95<<20) // a connection's first frame cannot be so large: its first byte is 0
	b = append(b, 0, 0, 0, 9, 0, 0, 0, 1)               // a produce
	conns := make([]net.Conn, 400)
	for i := range conns {
		conns[i] = w.dial()
		_, _ = conns[i].Write(b)
	}
	w.behaveWell()
	w.findAll()
	w.grewAtMost(peak, 64<<20, "claims")
	for _, nc := range conns {
		_ = nc.Close()
	}
	w.checkWell()
}

// Connections that really send most of a large frame and then nothing hold memory, but within the budget, and others are served.
func TestHalfSentFramesStayWithinTheBudget(t *testing.T) {
	const budget = 64 << 20
	w := start(t, "--set", "rafka.memory.request.bytes=67108864")
	peak := w.peak()
	b := binary.BigEndian.AppendUint32(nil, 12<<20)
	b = append(b, 0, 0, 0, 9, 0, 0, 0, 1)
	b = append(b, make([]byte, 8<<20)...)
	conns := make([]net.Conn, 40) // 320 MiB in all
	var sending sync.WaitGroup
	for i := range conns {
		conns[i] = w.dial()
		_ = conns[i].SetWriteDeadline(time.Now().Add(500 * time.Millisecond)) // most are not read to the end
		sending.Go(func() { _, _ = conns[i].Write(b) })
	}
	sending.Wait()
	w.behaveWell()
	w.findAll()
	w.grewAtMost(peak, budget+64<<20, "half-sent frames")
	for _, nc := range conns {
		_ = nc.Close()
	}
	w.checkWell()
}

// Clients that vanish in the middle of a produce, at any byte of it, leave nothing behind: what came whole may be stored, and nothing else.
func TestClientsThatVanishLeaveNothing(t *testing.T) {
	w := start(t)
	w.create("target", 1)
	rng := seeded(t)
	q := framed(produceOf("target", 0, batchOf(t, 20, 1000)), 1)
	for range 150 {
		nc := w.dial()
		_, _ = nc.Write(q[:rng.IntN(len(q))])
		_ = nc.(*net.TCPConn).SetLinger(0) // a reset, not a farewell
		_ = nc.Close()
	}
	if got := w.end("target"); got != 0 {
		t.Errorf("the log ends at %d, and no request was whole", got)
	}
	for range 50 { // whole, but nobody waits for the answer
		nc := w.dial()
		_, _ = nc.Write(q)
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}
	w.checkWell()
	if got := w.end("target"); got%20 != 0 {
		t.Errorf("the log ends at %d: a batch was stored in part", got)
	}
}
