package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// (LNK-8)
func TestAllAddressesAreTriedAndTheOneThatWorkedComesFirst(t *testing.T) {
	for name, dead := range map[string]string{"refused": closedPort(t), "silent": silentPort(t)} {
		t.Run(name, func(t *testing.T) {
			s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"echo": echo}})
			var dials []string
			var mu sync.Mutex
			p, _ := dialer(t, Options{Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				mu.Lock()
				dials = append(dials, addr)
				mu.Unlock()
				return new(net.Dialer).DialContext(ctx, "tcp", addr)
			}}, dead, addr)
			patient(s, p)
			ctx := testContext(t)
			if answer, err := p.Call(ctx, 2, "echo", []byte("x")); err != nil || string(answer) != "x" {
				t.Fatalf("%q, %v", answer, err)
			}
			if err := p.Probe(ctx, 2); err != nil {
				t.Errorf("probe: %v", err)
			}
			mu.Lock()
			if !slices.Equal(dials[:2], []string{dead, addr}) {
				t.Errorf("dialled %v", dials)
			}
			dials = nil
			mu.Unlock()
			p.mu.Lock()
			p.remotes[2].calls.drop()
			p.mu.Unlock()
			if _, err := p.Call(ctx, 2, "echo", nil); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(dials, []string{addr}) {
				t.Errorf("the second time it dialled %v, want %v first", dials, addr)
			}
		})
	}
}

// Each address gets its time and no more, silent ones overlap, and the first that answers wins (LNK-8).
func TestSilentAddressesHoldUpTheOthersForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		begin := time.Now()
		p := New(Options{
			Self: func() (kafka.BrokerID, string) { return 1, "c" },
			Addrs: func(id kafka.BrokerID) []string {
				if id == 2 {
					return []string{"silent:1", "refused:1", "silent:2", "good:1", "never:1"}
				}
				return []string{"silent:1", "silent:2"}
			},
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				mu.Lock()
				log = append(log, fmt.Sprint(addr, " ", time.Since(begin)))
				mu.Unlock()
				switch addr {
				case "refused:1":
					return nil, syscall.ECONNREFUSED
				case "good:1":
					a, b := net.Pipe()
					go func() {
						_, _, _ = readFirst(b)
						_, _ = readHello(b)
						_, _ = b.Write(welcome{version: 1, node: 2}.appendTo(nil))
						_, _, _ = readFirst(b)
					}()
					return a, nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		if err := p.Probe(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if want := []string{"silent:1 0s", "refused:1 200ms", "silent:2 400ms", "good:1 600ms"}; !slices.Equal(log, want) {
			t.Errorf("dialled %q, want %q", log, want)
		}
		begin = time.Now()
		mu.Unlock()
		err := p.Probe(t.Context(), 3)
		if took := time.Since(begin); kafka.CodeOf(err) != kafka.BrokerNotAvailable || took != time.Second+stagger {
			t.Errorf("two silent addresses: %v after %v", err, took)
		}
		_ = p.Close()
	})
}

// (LNK-6)
func TestBrokersOfAnotherClusterAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		server, caller string
		ok             bool
	}{
		"same":          {"c", "c", true},
		"other":         {"d", "c", false},
		"server is new": {"", "c", true},
		"caller is new": {"c", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			_, addr := serve(t, ServerOptions{ClusterID: func() string { return c.server }, Methods: map[string]Handler{
				"m": func(context.Context, Caller, []byte) ([]byte, error) { asked = true; return nil, nil }}})
			p, _ := dialer(t, Options{Self: func() (kafka.BrokerID, string) { return 1, c.caller }}, addr)
			_, err := p.Call(testContext(t), 2, "m", nil)
			if c.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, kafka.InconsistentClusterID)
			if !strings.Contains(err.Error(), "cluster d") || !strings.Contains(err.Error(), "cluster c") {
				t.Errorf("the error does not name the clusters: %v", err)
			}
			wantCode(t, p.Probe(testContext(t), 2), kafka.InconsistentClusterID)
			if asked {
				t.Error("it was asked all the same")
			}
		})
	}
	// A server that does not look is looked at.
	addr := pretend(t, func(net.Conn) {})
	p, _ := dialer(t, Options{Self: func() (kafka.BrokerID, string) { return 1, "another" }}, addr)
	_, err := p.Call(testContext(t), 2, "m", nil)
	wantCode(t, err, kafka.InconsistentClusterID)
}

// An address that was given to another broker is not taken for this one (LNK-6).
func TestAnotherBrokerAtTheAddressIsNoticed(t *testing.T) {
	_, addr := serve(t, ServerOptions{Node: func() kafka.BrokerID { return 2 }, Methods: map[string]Handler{"echo": echo}})
	p, b := dialer(t, Options{}, addr)
	b.set(3, addr)
	ctx := testContext(t)
	if _, err := p.Call(ctx, 2, "echo", nil); err != nil {
		t.Fatal(err)
	}
	_, err := p.Call(ctx, 3, "echo", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
	err = p.Probe(ctx, 3)
	wantCode(t, err, kafka.BrokerNotAvailable)
	if errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("nobody refused")
	}
}

func TestVersionsThatDoNotMeetAreRefused(t *testing.T) {
	_, addr := serve(t, ServerOptions{})
	nc := rawDial(t, addr)
	_, _ = nc.Write(hello{lowest: 9, highest: 12, node: 1}.appendTo(nil))
	if w, err := readWelcome(nc); err != nil || w.code != kafka.UnsupportedVersion || !strings.Contains(w.message, "9 to 12") {
		t.Errorf("%+v, %v", w, err)
	}
	wantClosed(t, nc)
	nc = rawDial(t, addr)
	_, _ = nc.Write(hello{lowest: 1, highest: 12, node: 1}.appendTo(nil))
	if w, err := readWelcome(nc); err != nil || w.version != highestVersion {
		t.Errorf("%+v, %v", w, err)
	}
}

// Only a process that is gone refuses at all its addresses (LNK-8).
func TestProbeTellsGoneFromSilent(t *testing.T) {
	_, good := serve(t, ServerOptions{})
	gone, gone2, silent := closedPort(t), closedPort(t), silentPort(t)
	quick := Options{DialTimeout: 50 * time.Millisecond}
	for name, c := range map[string]struct {
		addrs       []string
		ok, refused bool
		options     Options
	}{
		"there":               {[]string{good}, true, false, Options{}},
		"gone":                {[]string{gone}, false, true, Options{}},
		"gone at both":        {[]string{gone, gone2}, false, true, Options{}},
		"silent":              {[]string{silent}, false, false, quick},
		"gone at one":         {[]string{gone, silent}, false, false, quick},
		"there at the second": {[]string{gone, good}, true, false, Options{}},
		"no address":          {nil, false, false, Options{}},
		"no such host":        {[]string{"host.invalid:1"}, false, false, Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := dialer(t, c.options, c.addrs...)
			err := p.Probe(testContext(t), 2)
			if (err == nil) != c.ok || errors.Is(err, syscall.ECONNREFUSED) != c.refused {
				t.Errorf("error %v, refused %v; want ok %v, refused %v", err, errors.Is(err, syscall.ECONNREFUSED), c.ok, c.refused)
			}
			if err != nil {
				wantCode(t, err, kafka.BrokerNotAvailable)
			}
		})
	}
}

// With a fake clock: three failed dials open the circuit, calls then cost no dial, and the first after the wait tries again (LNK-7).
func TestOpenCircuitCostsNoDials(t *testing.T) {
	var now atomic.Int64
	var dials atomic.Int64
	var log logs
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"echo": echo}})
	var up atomic.Bool
	p, b := dialer(t, Options{
		Now: func() time.Time { return time.Unix(1000, now.Load()) }, Logger: log.logger(),
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			dials.Add(1)
			if !up.Load() {
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}}, addr)
	patient(s, p)
	p.dice = func() float64 { return 0 }
	ctx := testContext(t)
	call := func() error { _, err := p.Call(ctx, 2, "echo", nil); return err }
	for range 3 {
		if err := call(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("error %v", err)
		}
	}
	for range 10 {
		err := call()
		wantCode(t, err, kafka.BrokerNotAvailable)
		if !strings.Contains(err.Error(), "50ms") {
			t.Errorf("the error does not say when it will be tried: %v", err)
		}
		_, err = p.Dial(ctx, 2)
		wantCode(t, err, kafka.BrokerNotAvailable)
	}
	if dials.Load() != 3 {
		t.Fatalf("%d dials were made, want 3", dials.Load())
	}
	if err := p.Probe(ctx, 2); err == nil || dials.Load() != 4 {
		t.Fatalf("a probe dials whatever the circuit says: %v, %d dials", err, dials.Load())
	}
	now.Add(int64(50 * time.Millisecond))
	if err := call(); !errors.Is(err, syscall.ECONNREFUSED) || dials.Load() != 5 {
		t.Fatalf("after the wait: %v, %d dials", err, dials.Load())
	}
	_ = call()
	if dials.Load() != 5 {
		t.Fatal("it is open again after a trial that failed")
	}
	up.Store(true)
	now.Add(int64(100 * time.Millisecond))
	if err := call(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "cannot be reached") || !strings.Contains(text, "reached again") {
		t.Errorf("the log does not tell: %s", text)
	}
	// Another address is another chance.
	up.Store(false)
	p.mu.Lock()
	p.remotes[2].calls.drop()
	p.mu.Unlock()
	for range 4 {
		_ = call()
	}
	up.Store(true)
	if err := call(); err == nil {
		t.Fatal("the circuit is closed")
	}
	b.set(2, closedPort(t), addr)
	if err := call(); err != nil {
		t.Fatal(err)
	}
}

// Many who call at once share one dial.
func TestManyCallersShareOneDial(t *testing.T) {
	var dials atomic.Int64
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"echo": echo}})
	p, _ := dialer(t, Options{Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}, addr)
	patient(s, p)
	ctx := testContext(t)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if i%4 == 0 { // one who does not wait takes nothing from the others
				_, err := p.Call(gone, 2, "echo", nil)
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				return
			}
			if _, err := p.Call(ctx, 2, "echo", nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if dials.Load() != 1 {
		t.Errorf("%d dials were made, want 1", dials.Load())
	}
}

// Brokers that have left the cluster are forgotten, with their connections.
func TestBrokersThatHaveLeftAreForgotten(t *testing.T) {
	s, addr := serve(t, ServerOptions{Methods: map[string]Handler{"echo": echo}})
	p, b := dialer(t, Options{}, addr)
	patient(s, p)
	ctx := testContext(t)
	const many = keptRemotes + 20
	for id := range kafka.BrokerID(many) {
		b.set(100+id, addr)
		if _, err := p.Call(ctx, 100+id, "echo", nil); err != nil {
			t.Fatal(err)
		}
		if id > 0 {
			b.set(100 + id - 1)
		}
	}
	eventually(t, "old brokers are forgotten", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.remotes) <= keptRemotes
	})
	eventually(t, "their connections end", func() bool { return s.Stats().Connections <= keptRemotes })
	_, err := p.Call(ctx, 100, "echo", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
	b.set(2)
	_, err = p.Call(ctx, 2, "echo", nil)
	wantCode(t, err, kafka.BrokerNotAvailable)
}
