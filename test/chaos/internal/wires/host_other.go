//go:build !linux

package wires

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

var errNotHere = errors.New("network namespaces are Linux's")

type host struct{ wire *os.File }

func newHost(net.IP) (*host, error) { return nil, errNotHere }

func (*host) close() {}

func missing(error) string { return "needs Linux, for network namespaces" }

// In runs fn in the namespace of a host.
func (*Net) In(int, func()) error { return errNotHere }

// Dial returns a function that connects from a host.
func (*Net) Dial(int, time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errNotHere }
}

// Listen listens on a port of a host.
func (*Net) Listen(int, int) (net.Listener, error) { return nil, errNotHere }
