package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	maxPacket  = 8 << 10
	maxStreams = 64
	// handover is how long a stream that came in waits for memberlist to take it.
	handover = time.Second
)

// transport is how memberlist reaches others: packets by a UDP socket, streams by the peer port.
type transport struct {
	self    *net.UDPAddr // as others reach it
	socket  net.PacketConn
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	packets chan *memberlist.Packet
	streams chan net.Conn
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu   sync.Mutex // guards what follows; a leaf
	open int        // streams that came in
}

var _ memberlist.Transport = (*transport)(nil)

func newTransport(self *net.UDPAddr, socket net.PacketConn, dial func(context.Context, string) (net.Conn, error)) *transport {
	t := &transport{self: self, socket: socket, dial: dial, packets: make(chan *memberlist.Packet), streams: make(chan net.Conn)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.wg.Go(t.read)
	return t
}

// read reads packets until the socket closes. What is too long for a packet of ours is dropped.
func (t *transport) read() {
	buf := make([]byte, maxPacket+1)
	for {
		n, from, err := t.socket.ReadFrom(buf)
		switch {
		case t.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as an ICMP answer to a packet of ours; the next one may be in order
			select {
			case <-t.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		case n == 0 || n > maxPacket:
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packets <- p:
		case <-t.ctx.Done():
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.self.IP, t.self.Port, nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.socket.WriteTo(b, to)
	return time.Now(), err
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	return t.dial(ctx, addr)
}

// serve gives a stream that came in to memberlist and returns when it is closed.
func (t *transport) serve(conn net.Conn) error {
	t.mu.Lock()
	t.open++
	full := t.open > maxStreams
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.open--
		t.mu.Unlock()
	}()
	if full {
		return fmt.Errorf("more than %d streams of gossip at a time", maxStreams)
	}
	s := &stream{Conn: conn, closed: make(chan struct{})}
	wait := time.NewTimer(handover)
	defer wait.Stop()
	select {
	case t.streams <- s:
	case <-t.ctx.Done():
		return net.ErrClosed
	case <-wait.C:
		return errors.New("gossip is too slow to take a stream")
	}
	select {
	case <-s.closed:
	case <-t.ctx.Done():
	}
	return nil
}

// Shutdown implements memberlist.Transport.
func (t *transport) Shutdown() error {
	t.cancel()
	err := t.socket.Close()
	t.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// stream tells when it was closed.
type stream struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Close closes the connection.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}
