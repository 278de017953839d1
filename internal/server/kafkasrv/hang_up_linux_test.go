package kafkasrv

import (
	"net"
	"runtime"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A client that does not read while it has asked nothing is told of the end all the same: its next write is refused as a whole, so it knows that it
// may send that elsewhere.
func TestClientThatDoesNotReadIsToldOfTheEnd(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	idle, busy := d.dial(t), d.dial(t)
	idle.ask(hello())
	busy.ask(produceTo("orders", -1, batch(3)))
	d.drain()
	for d.Stats().Open != 0 {
		runtime.Gosched()
	}
	for name, c := range map[string]*client{"idle": idle, "busy": busy} {
		if n, err := c.nc.Write(frame(hello(), 2)); n != 0 || err == nil {
			t.Errorf("the %s client wrote %d bytes into a connection that is over: %v", name, n, err)
		}
		if got := c.ended(); len(got) != 0 {
			t.Errorf("the %s client read %x", name, got)
		}
	}
}

// No reset takes away what a client has not taken yet.
func TestSlowClientGetsItsLastAnswer(t *testing.T) {
	const size = 400 << 10
	d := open(t, newFakeBroker("orders"), Options{})
	d.dial(t).ask(produceTo("orders", -1, batch(size)))
	small := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	nc, err := small.DialContext(t.Context(), "tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := &client{t: t, nc: nc}
	fetch := fetchOf("orders", [16]byte{}, 0)
	fetch.MaxBytes, fetch.Topics[0].Partitions[0].PartitionMaxBytes = 2*size, 2*size
	c.send(fetch)
	for d.Stats().BytesOut < size {
		runtime.Gosched()
	}
	d.drain()
	for d.Stats().Open != 0 {
		runtime.Gosched()
	}
	if got := c.receive(fetch, 1).(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches; len(got) < size {
		t.Errorf("%d bytes of records came", len(got))
	}
}
