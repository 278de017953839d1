package app

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/server/grpcsrv"
	"github.com/rafka-io/rafka/internal/server/httpsrv"
	"github.com/rafka-io/rafka/internal/server/kafkasrv"
	"github.com/rafka-io/rafka/internal/server/listen"
	"github.com/rafka-io/rafka/internal/server/textsrv"
)

// bound are the listeners of all doors, open but not served: an address in use is found before anything else is opened.
type bound struct {
	kafka []named
	grpc  net.Listener
	http  net.Listener
}

type named struct {
	name string
	l    net.Listener
}

func (a *App) bind(ctx context.Context) (b bound, err error) {
	st := a.opts.Static
	open := func(what, addr string) net.Listener {
		if err != nil || addr == "" {
			return nil
		}
		l, e := listen.Listen(ctx, addr)
		if e != nil {
			err = fmt.Errorf("%s cannot listen on %s: %w; choose another address (port 0 takes a free one)", what, addr, e)
			return nil
		}
		a.onStop(what+" listener", func(context.Context) error { l.Close(); return nil }) // closed already once it is served
		return l
	}
	if l := a.opts.KafkaListener; l != nil {
		a.onStop("kafka listener", func(context.Context) error { l.Close(); return nil })
		b.kafka = append(b.kafka, named{"PLAINTEXT", l})
	} else {
		for _, l := range st.Listeners() {
			if !l.Controller {
				b.kafka = append(b.kafka, named{l.Name, open("kafka", l.Address())})
			}
		}
	}
	a.peerListener = open("peer", st.String("rafka.peer.address"))
	b.grpc = open("grpc", st.String("rafka.grpc.address"))
	b.http = open("http", st.String("rafka.http.address"))
	for _, n := range b.kafka {
		if n.l != nil {
			a.addrs.Kafka = append(a.addrs.Kafka, Listening{n.name, n.l.Addr()})
		}
	}
	if b.grpc != nil {
		a.addrs.GRPC = b.grpc.Addr()
	}
	if b.http != nil {
		a.addrs.HTTP = b.http.Addr()
	}
	return b, err
}

// serve opens the doors.
func (a *App) serve(b bound) {
	st := a.opts.Static
	a.kafka = kafkasrv.New(a.broker, kafkasrv.Options{
		NodeID: a.node, Load: a.load, MaxFrame: int(st.Int("socket.request.max.bytes")), FrameBytes: st.RequestBytes(),
		IdleTimeout: st.Duration("connections.max.idle.ms"), FetchSessions: sessions(int(st.Int("max.incremental.fetch.session.cache.slots"))), Log: a.opts.Logger,
	})
	a.onStop("kafka door", func(context.Context) error { return a.kafka.Close() })
	var lines textsrv.Verbs = a.broker
	var calls grpcsrv.Verbs = a.broker
	if a.route != nil {
		lines, calls = a.route, a.route
	}
	a.text = textsrv.New(lines, textsrv.Options{IdleTimeout: st.Duration("connections.max.idle.ms")})
	a.listen = listen.New(listen.Options{
		Kafka: a.kafka.Serve,
		Text: func(ctx context.Context, nc net.Conn) {
			s := &broker.Session{Door: "text", Host: hostOf(nc.RemoteAddr())}
			if c, ok := nc.(*listen.Conn); ok {
				s.Listener = c.ListenerName()
			}
			a.text.Serve(ctx, nc, s)
		},
		MaxConnections: limit(st, "max.connections"), MaxPerIP: limit(st, "max.connections.per.ip"),
		FirstByte: st.Duration("connections.max.idle.ms"), Log: a.opts.Logger,
	})
	for _, n := range b.kafka {
		a.listen.Serve(n.name, n.l)
	}
	if b.grpc != nil {
		a.grpc = grpcsrv.New(calls, grpcsrv.Options{Ready: a.whyNotReady})
		a.serveHTTPLike("grpc", func() error { return a.grpc.Serve(b.grpc) })
		a.onStop("grpc door", func(ctx context.Context) error { a.grpc.Shutdown(ctx); return nil })
	}
	if b.http != nil {
		a.http = httpsrv.New(a.sources(), httpsrv.Options{Version: a.opts.Version, Profiles: st.Bool("rafka.pprof.enable")})
		a.serveHTTPLike("http", func() error { return a.http.Serve(b.http) })
		a.onStop("http door", a.http.Shutdown)
	}
	// Last, so that it is the first to stop: clients of Kafka's protocol drain while metrics can still be read.
	a.onStop("connections", a.listen.Shutdown)
}

// sessions is how many fetch sessions the door keeps: none where the setting says 0, which to the door means its default.
func sessions(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// limit is a limit on connections; what Kafka's default means, none, is left to listen, which knows how many files may be open.
func limit(st *config.Static, key string) int {
	if n := st.Int(key); n < 1<<31-1 {
		return int(n)
	}
	return 0
}

func (a *App) serveHTTPLike(name string, serve func() error) {
	a.serving.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) {
			a.opts.Logger.Error("door closed", "door", name, "err", err)
		}
	})
}

// whyNotReady is nil once the broker serves.
func (a *App) whyNotReady() error {
	if !a.ready.Load() {
		return errors.New("the broker is starting or stopping")
	}
	return a.loop.Err()
}
