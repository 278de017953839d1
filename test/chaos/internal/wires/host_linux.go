package wires

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	device = "wire"
	mtu    = 1500
	queue  = 5000 // packets that the kernel keeps for us
)

// host is a network namespace and the near end of its device.
type host struct {
	ns   *os.File // the namespace
	wire *os.File // one read is one packet that the host sent, one write one that it receives
}

// newHost makes a namespace with a device that has an address of the network 10.77.0.0/24. The thread that made it ends.
func newHost(addr net.IP) (h *host, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, so that the thread, which is in the wrong namespace, ends with the goroutine
		h, err = makeHost(addr)
	}()
	<-done
	return h, err
}

func makeHost(addr net.IP) (h *host, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	h = &host{}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer func() {
		if h.wire == nil {
			_ = unix.Close(fd)
		}
	}()
	if err := configure(fd, addr); err != nil {
		return nil, fmt.Errorf("configure a TUN device: %w", err)
	}
	h.wire = os.NewFile(uintptr(fd), device)
	return h, nil
}

// configure makes the descriptor the device's and brings the device and the loopback interface up.
func configure(tun int, addr net.IP) error {
	r, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, r); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for _, step := range []struct {
		name string
		req  uint
		set  func(*unix.Ifreq) error
	}{
		{"lo", unix.SIOCSIFFLAGS, flags},
		{device, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.To4()) }},
		{device, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{device, unix.SIOCSIFMTU, number(mtu)},
		{device, unix.SIOCSIFTXQLEN, number(queue)},
		{device, unix.SIOCSIFFLAGS, flags},
	} {
		r, err := unix.NewIfreq(step.name)
		if err == nil {
			err = step.set(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, step.req, r)
		}
		if err != nil {
			return fmt.Errorf("request %#x of %s: %w", step.req, step.name, err)
		}
	}
	return nil
}

func flags(r *unix.Ifreq) error {
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return nil
}

func number(n uint32) func(*unix.Ifreq) error {
	return func(r *unix.Ifreq) error {
		r.SetUint32(n)
		return nil
	}
}

func (h *host) close() {
	if h.wire != nil {
		_ = h.wire.Close()
	}
	if h.ns != nil {
		_ = h.ns.Close()
	}
}

// In runs fn in the namespace of a host: sockets that it makes and processes that it starts are of that host. Goroutines that it starts are not.
// fn must not block for long: it has a thread for itself.
func (n *Net) In(i int, fn func()) error {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer own.Close()
	if err := unix.Setns(int(n.hosts[i].ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter the namespace of host %d: %w", i, err)
	}
	back := func() {
		if unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // otherwise the thread ends with the goroutine
		}
	}
	defer back()
	fn()
	return nil
}

// Dial returns a function that connects from a host within a time, for clients that take one. The address must be literal, HOST:PORT.
func (n *Net) Dial(from int, within time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		if in := n.In(from, func() { conn, err = (&net.Dialer{Timeout: within}).DialContext(ctx, network, addr) }); in != nil {
			return nil, in
		}
		return conn, err
	}
}

// Listen listens on a port of a host.
func (n *Net) Listen(at int, port int) (l net.Listener, err error) {
	if in := n.In(at, func() { l, err = net.Listen("tcp", fmt.Sprintf("%s:%d", n.Addr(at), port)) }); in != nil {
		return nil, in
	}
	return l, err
}

// missing says why namespaces cannot be made here, in words for a test that is skipped.
func missing(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN), to make network namespaces"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return "needs /dev/net/tun: modprobe tun, or give the container the device"
	}
	return ""
}
