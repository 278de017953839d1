package porttest

import (
	"net"
	"strconv"
	"testing"
	"time"
)

// The ports that are given. They lie below those that systems give to outgoing connections and to listeners that ask for any port (Linux from
// 32768, others from 49152), and above those of `rafka dev cluster`.
const (
	firstPort = 32_000
	blocks    = 48
	blockSize = 16 // the first port of a block is its lock
)

// Free returns n loopback addresses, HOST:PORT, at which nobody listens; n is at most 15. They belong to the test until its end.
func Free(t testing.TB, n int) []string {
	t.Helper()
	if n >= blockSize {
		t.Fatalf("%d addresses are asked for, and %d can be had at once", n, blockSize-1)
	}
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for block := range blocks {
			if addrs := take(t, firstPort+block*blockSize, n); addrs != nil {
				return addrs
			}
		}
	}
	t.Fatalf("all ports from %d to %d were taken for five minutes: what else uses them?", firstPort, firstPort+blocks*blockSize-1)
	return nil
}

// take holds the first port of a block until the test's end and returns the n after it; nil if one of them is taken.
func take(t testing.TB, first, n int) (addrs []string) {
	lock, err := net.Listen("tcp", local(first))
	if err != nil {
		return nil
	}
	for i := range n {
		addr := local(first + 1 + i)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			lock.Close()
			return nil
		}
		l.Close()
		addrs = append(addrs, addr)
	}
	t.Cleanup(func() { lock.Close() })
	return addrs
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
