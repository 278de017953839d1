//go:build unix

package abuse

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// mayOpen raises this process's limit on open files to n if it can, and returns what it is then. The server was started before, with the
// limit that there was.
func mayOpen(t *testing.T, n uint64) int {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Skipf("limit on open files: %v", err)
	}
	if was.Cur >= n {
		return int(n)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: max(was.Max, n)}); err != nil { // root may
		return int(was.Cur)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) })
	return int(n)
}

// flood opens n connections from several addresses, since one has only so many ports, and says first on each.
func (w *world) flood(n int, first []byte) (conns []net.Conn, refused int) {
	w.t.Helper()
	conns = make([]net.Conn, n)
	var next, failed atomic.Int64
	var dialing sync.WaitGroup
	for range 16 {
		dialing.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				d := net.Dialer{Timeout: 5 * time.Second, KeepAlive: -1}
				if runtime.GOOS == "linux" {
					d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}
				}
				nc, err := d.Dial("tcp", w.Kafka)
				if err != nil {
					failed.Add(1)
					continue
				}
				_ = nc.(*net.TCPConn).SetLinger(0) // no port waits when the flood is over
				_, _ = nc.Write(first)
				conns[i] = nc
			}
		})
	}
	dialing.Wait()
	return conns, int(failed.Load())
}

func closeAll(conns []net.Conn) {
	for _, nc := range conns {
		if nc != nil {
			_ = nc.Close()
		}
	}
}

// 20,000 connections are attempted, of which some say nothing, some half of a frame, and some a whole request. The client that was connected
// is served meanwhile, files of logs can still be opened, and new clients are served as soon as the flood is over. Where connections say
// nothing, new clients are served even while it lasts.
func TestFloodOfConnectionsHurtsNobody(t *testing.T) {
	for _, c := range []struct {
		name  string
		first []byte
		long  bool
	}{{"silent", nil, false}, {"half a frame", []byte{0, 0, 0}, true}, {"a request each", hello(), true}} {
		t.Run(c.name, func(t *testing.T) {
			if c.long && !long {
				t.Skip("RAFKA_LONG=1 runs it")
			}
			w := start(t)
			const attempts = 20_000
			n := min(attempts, mayOpen(t, 2*attempts)-500)
			peak := w.peak()
			t0 := time.Now()
			conns, refused := w.flood(n, c.first)
			defer func() { closeAll(conns) }()
			closeAll(conns[:attempts-n]) // this process cannot have so many at once
			more, failed := w.flood(attempts-n, c.first)
			conns, refused = append(conns, more...), refused+failed
			took := time.Since(t0)
			v := w.vitals()
			t.Logf("%d attempts in %v, %d failed; the server has %d connections, %d open files, %d goroutines", attempts, took.Round(time.Millisecond), refused, v.conns, v.fds, v.goroutines)
			w.behaveWell()
			for i := range 20 { // each topic opens a log file or two
				w.create(fmt.Sprintf("during-%d", i), 1)
				w.produceLarge(fmt.Sprintf("during-%d", i))
			}
			if c.first == nil {
				time.Sleep(1100 * time.Millisecond) // after a second of silence a connection makes room for another
				w.behave(w.newClient())
				w.findAll()
			}
			w.grewAtMost(peak, 64<<20+int64(n)*20<<10, "flood")
			closeAll(conns)
			w.checkWell()
		})
	}
}

// produceLarge sends so much that it goes to a segment at once.
func (w *world) produceLarge(topic string) {
	w.t.Helper()
	if err := w.client.ProduceSync(w.t.Context(), &kgo.Record{Topic: topic, Value: make([]byte, 500_000)}).FirstErr(); err != nil {
		w.t.Errorf("produce to %s during the flood: %v\n%s", topic, err, tail(w.Log()))
	}
}
