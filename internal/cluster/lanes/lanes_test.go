package lanes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world dials connections whose answers the test decides.
type world struct {
	*Lanes

	mu      sync.Mutex
	dialled int
	open    int
	dial    error
	answer  func(ctx context.Context, to kafka.BrokerID) error // nil: at once
}

type conn struct {
	w      *world
	to     kafka.BrokerID
	closed bool
	gone   chan struct{}
}

func newWorld(o Options) *world {
	w := &world{}
	o.Dial = func(_ context.Context, to kafka.BrokerID) (Conn, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.dial != nil {
			return nil, w.dial
		}
		w.dialled++
		w.open++
		return &conn{w: w, to: to, gone: make(chan struct{})}, nil
	}
	w.Lanes = New(o)
	return w
}

func (c *conn) Do(ctx context.Context, q kmsg.Request) (kmsg.Response, error) {
	c.w.mu.Lock()
	answer := c.w.answer
	c.w.mu.Unlock()
	if answer != nil {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-c.gone:
				cancel()
			case <-ctx.Done():
			}
		}()
		if err := answer(ctx, c.to); err != nil {
			return nil, err
		}
	}
	return q.ResponseKind(), nil
}

func (c *conn) Close() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.w.open--
		close(c.gone)
	}
	return nil
}

func (w *world) counts() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d dialled, %d open", w.dialled, w.open)
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) ask(ctx context.Context, to kafka.BrokerID) error {
	_, err := w.Kafka(ctx, to, kmsg.NewPtrMetadataRequest())
	return err
}

func (w *world) want(t *testing.T, counts string) {
	t.Helper()
	if got := w.counts(); got != counts {
		t.Errorf("%s, want %s", got, counts)
	}
}

// LAN-1
func TestSlowAnswerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{})
		defer w.Close()
		slow := make(chan struct{})
		w.answer = func(context.Context, kafka.BrokerID) error { <-slow; return nil }
		first := make(chan error, 1)
		go func() { first <- w.ask(t.Context(), 1) }()
		synctest.Wait()
		w.set(func() { w.answer = nil })
		for range 10 {
			if err := w.ask(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		w.want(t, "2 dialled, 2 open")
		close(slow)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := w.ask(t.Context(), 2); err != nil {
			t.Error(err)
		}
		w.want(t, "3 dialled, 3 open")
	})
}

// LAN-1: at the limit a request waits for any that ends, and no longer than its time.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{Most: 2})
		defer w.Close()
		turn := make(chan struct{})
		w.answer = func(context.Context, kafka.BrokerID) error { <-turn; return nil }
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- w.ask(t.Context(), 1) }()
		}
		synctest.Wait()
		w.want(t, "2 dialled, 2 open")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.ask(ctx, 1); kafka.CodeOf(err) != kafka.RequestTimedOut || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for range 3 {
			turn <- struct{}{}
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		w.want(t, "2 dialled, 2 open")
	})
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{IdleTime: time.Minute})
		defer w.Close()
		together := make(chan struct{})
		w.answer = func(context.Context, kafka.BrokerID) error { <-together; return nil }
		var asking sync.WaitGroup
		for i := range 4 {
			asking.Go(func() { _ = w.ask(t.Context(), kafka.BrokerID(i/2)) })
		}
		synctest.Wait()
		close(together)
		asking.Wait()
		w.want(t, "4 dialled, 4 open")
		for range 5 {
			time.Sleep(40 * time.Second)
			if err := w.ask(t.Context(), 0); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		w.want(t, "4 dialled, 1 open")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		w.want(t, "4 dialled, 0 open")
		w.mu.Lock()
		defer w.mu.Unlock()
		w.Lanes.mu.Lock()
		defer w.Lanes.mu.Unlock()
		if len(w.brokers) > 0 || w.timer != nil {
			t.Errorf("%d brokers are remembered", len(w.brokers))
		}
	})
}

// One connection that fails takes the idle ones to that broker with it; one whose asker gave up does not.
func TestFailedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{})
		defer w.Close()
		together := make(chan struct{})
		w.answer = func(context.Context, kafka.BrokerID) error { <-together; return nil }
		var asking sync.WaitGroup
		for range 3 {
			asking.Go(func() { _ = w.ask(t.Context(), 1) })
		}
		synctest.Wait()
		close(together)
		asking.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.set(func() {
			w.answer = func(ctx context.Context, _ kafka.BrokerID) error { <-ctx.Done(); return ctx.Err() }
		})
		if err := w.ask(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		w.want(t, "3 dialled, 2 open")
		w.set(func() { w.answer = func(context.Context, kafka.BrokerID) error { return kafka.NetworkException } })
		if err := w.ask(t.Context(), 1); kafka.CodeOf(err) != kafka.NetworkException {
			t.Error(err)
		}
		w.want(t, "3 dialled, 0 open")
		w.set(func() { w.dial = kafka.BrokerNotAvailable })
		if err := w.ask(t.Context(), 1); kafka.CodeOf(err) != kafka.BrokerNotAvailable {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.brokers) > 0 {
			t.Error("a broker that cannot be reached is remembered")
		}
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{})
		if err := w.ask(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		w.set(func() {
			w.answer = func(ctx context.Context, _ kafka.BrokerID) error { <-ctx.Done(); return ctx.Err() }
		})
		done := make(chan error, 2)
		for i := range 2 {
			go func() { done <- w.ask(t.Context(), kafka.BrokerID(i+1)) }()
		}
		synctest.Wait()
		w.Close()
		for range 2 {
			if err := <-done; err == nil {
				t.Error("answered")
			}
		}
		w.want(t, "2 dialled, 0 open")
		if err := w.ask(t.Context(), 1); kafka.CodeOf(err) != kafka.NetworkException {
			t.Error(err)
		}
		w.Close()
	})
}
