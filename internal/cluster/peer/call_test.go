package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// Thousands of calls at a time, of random sizes and delays, some cancelled, some refused: each gets the answer to itself (LNK-2).
func TestEachOfManyCallsGetsItsOwnAnswer(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	noise := make([]byte, 300<<10)
	for rng, i := rand.New(rand.NewPCG(seed, 0)), 0; i < len(noise); i++ {
		noise[i] = byte(rng.Uint32())
	}
	// The body is number, delay in ms, size of the answer, then noise. The answer is the number, the sum of the body, and noise.
	answerTo := func(body []byte) []byte {
		n := binary.BigEndian.Uint32(body[8:])
		a := append([]byte(nil), body[:4]...)
		a = binary.BigEndian.AppendUint32(a, crc32.ChecksumIEEE(body))
		return append(a, noise[:n]...)
	}
	handler := func(ctx context.Context, from Caller, body []byte) ([]byte, error) {
		if from.Node != 1 || from.ClusterID != "c" {
			return nil, fmt.Errorf("the caller is %+v", from)
		}
		if d := binary.BigEndian.Uint32(body[4:]); d > 0 {
			timer := time.NewTimer(time.Duration(d) * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if n := binary.BigEndian.Uint32(body); n%10 == 3 {
			return nil, kafka.Errorf(kafka.InvalidRequest, "call %d is refused", n)
		}
		return answerTo(body), nil
	}
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"work": handler}})
	p, _ := dialer(t, Options{}, addr)
	patient(s, p)
	ctx := testContext(t)
	var cancelled atomic.Int64
	var all sync.WaitGroup
	for worker := range 40 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(worker)+1))
			var group sync.WaitGroup
			defer group.Wait()
			for i := range 60 {
				number := uint32(worker*60 + i)
				size := rng.IntN(200)
				switch rng.IntN(20) {
				case 0:
					size = rng.IntN(len(noise))
				case 1:
					size = 0
				}
				delay, answerSize := rng.IntN(4)*rng.IntN(4), rng.IntN(100)
				if rng.IntN(30) == 0 {
					answerSize = rng.IntN(len(noise))
				}
				body := binary.BigEndian.AppendUint32(nil, number)
				body = binary.BigEndian.AppendUint32(body, uint32(delay))
				body = binary.BigEndian.AppendUint32(body, uint32(answerSize))
				body = append(body, noise[:size]...)
				impatient := rng.IntN(10) == 0
				group.Go(func() {
					ctx := ctx
					if impatient {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, time.Duration(delay)*time.Millisecond)
						defer cancel()
					}
					sent := bytes.Clone(body)
					answer, err := p.Call(ctx, 2, "work", sent)
					clear(sent) // ours again
					switch {
					case impatient && errors.Is(err, context.DeadlineExceeded):
						cancelled.Add(1)
					case number%10 == 3 && kafka.CodeOf(err) == kafka.InvalidRequest:
						if want := fmt.Sprintf("call %d is refused", number); err.Error() != want {
							t.Errorf("error %q, want %q", err, want)
						}
					case err != nil:
						t.Errorf("call %d: %v", number, err)
					case !bytes.Equal(answer, answerTo(body)):
						t.Errorf("call %d got another answer", number)
					}
				})
			}
		})
	}
	all.Wait()
	t.Logf("%d of 2400 calls were cancelled", cancelled.Load())
	if st := s.Stats(); st.Connections != 1 {
		t.Errorf("%d connections were made for one broker", st.Connections)
	}
	eventually(t, "all memory of calls is given back", func() bool { return s.Stats().CallBytes == 0 })
}

// (LNK-2)
func TestSlowHandlersDoNotHoldUpOthers(t *testing.T) {
	release := make(chan struct{})
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{
		"echo": echo,
		"slow": func(ctx context.Context, _ Caller, body []byte) ([]byte, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return body, nil
		},
	}})
	p, _ := dialer(t, Options{}, addr)
	patient(s, p)
	ctx := testContext(t)
	var slow sync.WaitGroup
	for range maxHandlers - 1 {
		slow.Go(func() {
			if answer, err := p.Call(ctx, 2, "slow", []byte("s")); err != nil || string(answer) != "s" {
				t.Errorf("%q, %v", answer, err)
			}
		})
	}
	eventually(t, "all slow calls are under way", func() bool { return s.Stats().Calls == maxHandlers-1 })
	for range 100 {
		if answer, err := p.Call(ctx, 2, "echo", []byte("e")); err != nil || string(answer) != "e" {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	close(release)
	slow.Wait()
}

// At the limit of calls a connection is not read, and goes on when some have ended.
func TestNoMoreThanSoManyHandlersRunForOneConnection(t *testing.T) {
	release := make(chan struct{})
	var running, most atomic.Int64
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{
		"slow": func(ctx context.Context, _ Caller, body []byte) ([]byte, error) {
			for n := running.Add(1); ; {
				m := most.Load()
				if n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			defer running.Add(-1)
			select {
			case <-release:
			case <-ctx.Done():
			}
			return body, nil
		},
	}})
	p, _ := dialer(t, Options{}, addr)
	patient(s, p)
	ctx := testContext(t)
	var all sync.WaitGroup
	for i := range 2 * maxHandlers {
		all.Go(func() {
			if answer, err := p.Call(ctx, 2, "slow", fmt.Append(nil, i)); err != nil || string(answer) != fmt.Sprint(i) {
				t.Errorf("%q, %v", answer, err)
			}
		})
	}
	eventually(t, "as many as may are under way", func() bool { return running.Load() == maxHandlers })
	close(release)
	all.Wait()
	if m := most.Load(); m != maxHandlers {
		t.Errorf("%d handlers ran at a time, allowed are %d", m, maxHandlers)
	}
}

func TestErrorsOfHandlersArriveWithCodeAndMessage(t *testing.T) {
	var log logs
	cause := errors.New("disk on fire")
	_, addr := serve(t, ServerOptions{MaxBody: 100 << 10, Logger: log.logger(), Methods: map[string]Handler{
		"code": func(context.Context, Caller, []byte) ([]byte, error) { return nil, kafka.NotController },
		"message": func(context.Context, Caller, []byte) ([]byte, error) {
			return nil, fmt.Errorf("wrapped: %w", kafka.Errorf(kafka.FencedLeaderEpoch, "epoch 3, not 2"))
		},
		"plain": func(context.Context, Caller, []byte) ([]byte, error) { return nil, cause },
		"late":  func(context.Context, Caller, []byte) ([]byte, error) { return nil, context.DeadlineExceeded },
		"long": func(context.Context, Caller, []byte) ([]byte, error) {
			return nil, errors.New(strings.Repeat("x", 1<<20))
		},
		"panic": func(context.Context, Caller, []byte) ([]byte, error) { panic("oh no") },
		"none":  func(context.Context, Caller, []byte) ([]byte, error) { return nil, kafka.None },
		"huge":  func(context.Context, Caller, []byte) ([]byte, error) { return make([]byte, 100<<10+1), nil },
		"echo":  echo,
	}, More: func(method string) Handler {
		if method == "later" {
			return echo
		}
		return nil
	}})
	p, _ := dialer(t, Options{}, addr)
	ctx := testContext(t)
	for _, c := range []struct {
		method, message string
		code            kafka.ErrorCode
	}{
		{"code", "NOT_CONTROLLER", kafka.NotController},
		{"message", "epoch 3, not 2", kafka.FencedLeaderEpoch},
		{"plain", "disk on fire", kafka.UnknownServerError},
		{"late", "deadline", kafka.RequestTimedOut},
		{"long", "xxx", kafka.UnknownServerError},
		{"panic", "its log says why", kafka.UnknownServerError},
		{"none", "NONE", kafka.UnknownServerError},
		{"huge", "102401", kafka.MessageTooLarge},
		{"unheard of", "does not serve", kafka.BrokerNotAvailable},
	} {
		_, err := p.Call(ctx, 2, c.method, nil)
		var e *kafka.Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: error %v (%v), want %v with %q", c.method, err, kafka.CodeOf(err), c.code, c.message)
		}
	}
	if !strings.Contains(log.String(), "oh no") {
		t.Error("the panic is not in the log")
	}
	for _, method := range []string{"echo", "later"} { // the connection lives
		if answer, err := p.Call(ctx, 2, method, []byte("x")); err != nil || string(answer) != "x" {
			t.Errorf("%s: %q, %v", method, answer, err)
		}
	}
	_, err := p.Call(ctx, 2, strings.Repeat("m", maxMethod+1), nil)
	wantCode(t, err, kafka.InvalidRequest)
}

func TestBodiesOverTheLimitAreNotSent(t *testing.T) {
	_, addr := serve(t, ServerOptions{MaxBody: 1000, Methods: map[string]Handler{"echo": echo}})
	p, _ := dialer(t, Options{MaxBody: 1000}, addr)
	ctx := testContext(t)
	if answer, err := p.Call(ctx, 2, "echo", make([]byte, 1000)); err != nil || len(answer) != 1000 {
		t.Fatalf("%d bytes, %v", len(answer), err)
	}
	_, err := p.Call(ctx, 2, "echo", make([]byte, 1001))
	wantCode(t, err, kafka.MessageTooLarge)
}

func TestCancelledCallsEndTheirHandlersContext(t *testing.T) {
	ended, began := make(chan struct{}), make(chan struct{})
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{
		"echo": echo,
		"wait": func(ctx context.Context, _ Caller, _ []byte) ([]byte, error) {
			close(began)
			<-ctx.Done()
			close(ended)
			return []byte("nobody wants this"), nil
		},
	}})
	p, _ := dialer(t, Options{}, addr)
	patient(s, p)
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		<-began
		cancel()
	}()
	_, err := p.Call(ctx, 2, "wait", nil)
	wantCode(t, err, kafka.RequestTimedOut)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not say that it was cancelled", err)
	}
	<-ended
	if answer, err := p.Call(testContext(t), 2, "echo", []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("%q, %v", answer, err)
	}
}

// A server that dies while calls are under way: each call ends, with an error that says that it may have been carried out (LNK-2); then
// the broker can be called again at its next address.
func TestCallsEndWhenTheServerDies(t *testing.T) {
	var under atomic.Int64
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"wait": func(ctx context.Context, _ Caller, _ []byte) ([]byte, error) {
		under.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	p, addrs := dialer(t, Options{}, addr)
	patient(s, p)
	ctx := testContext(t)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			_, err := p.Call(ctx, 2, "wait", nil)
			if kafka.CodeOf(err) != kafka.NetworkException {
				t.Errorf("error %v (%v)", err, kafka.CodeOf(err))
			}
		})
	}
	eventually(t, "all are under way", func() bool { return under.Load() == 100 })
	_ = s.Close()
	all.Wait()
	_, err := p.Call(ctx, 2, "wait", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
	_, addr = serve(t, ServerOptions{Methods: map[string]Handler{"echo": echo}})
	addrs.set(2, addr)
	if answer, err := p.Call(ctx, 2, "echo", []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("%q, %v", answer, err)
	}
}

// A server that sends what it should not, or stops in the middle of an answer, breaks the connection and not the caller (LNK-2, LNK-3).
func TestAnswersThatAreNoneBreakTheConnection(t *testing.T) {
	for name, reply := range map[string][]byte{
		"4 GiB":            {0xFF, 0xFF, 0xFF, 0xFF, byte(answerKind), 0, 0, 0, 0, 0, 0, 0, 1},
		"half":             appendAnswer(nil, 1, make([]byte, 100))[:50],
		"half of 60 MiB":   append(appendHeader(nil, answerKind, 1, 60<<20), 1, 2, 3),
		"a call":           appendCall(nil, 1, "m", nil),
		"unknown":          {0, 0, 0, 9, 77, 0, 0, 0, 0, 0, 0, 0, 1},
		"another's, close": appendAnswer(nil, 99, nil),
		"nothing":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			addr := pretend(t, func(nc net.Conn) {
				h, err := readHeader(nc, defaultMaxBody)
				if err != nil || h.kind != callKind {
					t.Errorf("header %+v, %v", h, err)
				}
				_, _ = readBytes(nc, h.size)
				_, _ = nc.Write(reply)
			})
			p, _ := dialer(t, Options{}, addr)
			_, err := p.Call(testContext(t), 2, "m", []byte("x"))
			wantCode(t, err, kafka.NetworkException)
		})
	}
}

// pretend accepts connections, answers the hello as broker 2 of cluster "c", and lets talk do the rest.
func pretend(t *testing.T, talk func(net.Conn)) (addr string) {
	l := listen(t)
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(deadline))
				if _, first, err := readFirst(nc); err != nil || string(first) != magic {
					return
				}
				if _, err := readHello(nc); err != nil {
					return
				}
				_, _ = nc.Write(welcome{version: 1, node: 2, clusterID: "c"}.appendTo(nil))
				talk(nc)
			})
		}
	})
	return l.Addr().String()
}

// What a caller should not send ends its connection, and only that (LNK-3).
func TestCallersThatBreakTheProtocolAreClosed(t *testing.T) {
	const maxBody = 1 << 20
	_, addr := serve(t, ServerOptions{MaxBody: maxBody, Methods: map[string]Handler{"echo": echo, "wait": func(ctx context.Context, _ Caller, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	p, _ := dialer(t, Options{}, addr)
	for name, frames := range map[string][]byte{
		"4 GiB":                {0xFF, 0xFF, 0xFF, 0xFF, byte(callKind), 0, 0, 0, 0, 0, 0, 0, 1},
		"an answer":            appendAnswer(nil, 1, nil),
		"no method":            appendHeader(nil, callKind, 1, 0),
		"the same id twice":    appendCall(appendCall(nil, 1, "wait", nil), 1, "wait", nil),
		"body one over":        appendCall(nil, 1, "m", make([]byte, maxBody+1)),
		"a hello, once more":   hello{lowest: 1, highest: 1}.appendTo(nil),
		"cancel with a body":   append(appendHeader(nil, cancelKind, 1, 1), 0),
		"unknown cancel, then": appendAnswer(appendHeader(nil, cancelKind, 77, 0), 1, nil),
	} {
		t.Run(name, func(t *testing.T) {
			nc := rawDial(t, addr)
			_, _ = nc.Write(hello{lowest: 1, highest: 1, node: 5, clusterID: "c"}.appendTo(nil))
			if w, err := readWelcome(nc); err != nil || w.code != kafka.None {
				t.Fatalf("%+v, %v", w, err)
			}
			_, _ = nc.Write(frames)
			wantClosed(t, nc)
		})
	}
	if answer, err := p.Call(testContext(t), 2, "echo", []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("%q, %v", answer, err)
	}
}

// A node that gets its id, or learns its cluster, introduces itself anew; calls that are under way come to their end.
func TestNodeThatGetsAnIDIntroducesItselfAnew(t *testing.T) {
	release := make(chan struct{})
	who := func(_ context.Context, from Caller, _ []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%d %q", from.Node, from.ClusterID), nil
	}
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"who": who, "wait": func(ctx context.Context, from Caller, b []byte) ([]byte, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return who(ctx, from, b)
	}}})
	var known atomic.Bool
	p, _ := dialer(t, Options{Self: func() (kafka.BrokerID, string) {
		if known.Load() {
			return 1, "c"
		}
		return kafka.NoBroker, ""
	}}, addr)
	patient(s, p)
	ctx := testContext(t)
	old := make(chan string, 1)
	go func() {
		answer, err := p.Call(ctx, 2, "wait", nil)
		old <- fmt.Sprint(string(answer), err)
	}()
	eventually(t, "the first call is under way", func() bool { return s.Stats().Calls == 1 })
	known.Store(true)
	if answer, err := p.Call(ctx, 2, "who", nil); err != nil || string(answer) != `1 "c"` {
		t.Errorf("%s, %v", answer, err)
	}
	close(release)
	if got := <-old; got != `-1 ""<nil>` {
		t.Errorf("the call of before got %s", got)
	}
	eventually(t, "the old connection has ended", func() bool { return s.Stats().Connections == 1 })
}

func TestCallAddrNeedsNoID(t *testing.T) {
	var closed atomic.Int64
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"echo": echo}, OnClosed: func(Caller) { closed.Add(1) }})
	p, _ := dialer(t, Options{})
	ctx := testContext(t)
	for range 3 {
		if answer, err := p.CallAddr(ctx, addr, "echo", []byte("x")); err != nil || string(answer) != "x" {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	eventually(t, "its connections end", func() bool { return s.Stats().Connections == 0 })
	_, err := p.CallAddr(ctx, closedPort(t), "echo", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
	_ = s.Close()
	if n := closed.Load(); n != 0 {
		t.Errorf("OnClosed was told of %d connections that were for one call only", n) // (LNK-5)
	}
}

// After Close nothing works, and what was under way has ended.
func TestNothingIsLeftAfterClose(t *testing.T) {
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"wait": func(ctx context.Context, _ Caller, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	p, b := dialer(t, Options{}, addr)
	patient(s, p)
	b.set(3, silentPort(t))
	ctx := testContext(t)
	var all sync.WaitGroup
	for _, ask := range []func() error{
		func() error { _, err := p.Call(ctx, 2, "wait", nil); return err },
		func() error { _, err := p.CallAddr(ctx, addr, "wait", nil); return err },
		func() error { _, err := p.Call(ctx, 3, "wait", nil); return err },
		func() error { return p.Probe(ctx, 3) },
	} {
		all.Go(func() {
			if ask() == nil {
				t.Error("a call succeeded")
			}
		})
	}
	eventually(t, "calls are under way", func() bool { return s.Stats().Calls == 2 })
	_ = p.Close()
	all.Wait()
	_ = p.Close()
	_, err := p.Call(ctx, 2, "wait", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
	_, err = p.CallAddr(ctx, addr, "wait", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
	_, err = p.Dial(ctx, 2)
	wantCode(t, err, kafka.BrokerNotAvailable)
	wantCode(t, p.Probe(ctx, 2), kafka.BrokerNotAvailable)
	_ = s.Close()
	_ = s.Close()
	if err := s.Serve(listen(t)); err != nil {
		t.Error(err)
	}
}
