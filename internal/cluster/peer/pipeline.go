package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// maxPipelined is how many requests of a shared Kafka connection are under way at a time. At the limit the next one waits.
const maxPipelined = 1024

// Kafka sends a request, in the version that it says, over the Kafka connection that all share, and returns the answer. Requests are
// answered in their order, so what waits long belongs on a connection of its own (Dial). It waits as long as the request allows for and
// 10 s once it is its turn, and no longer than ctx. q is not used any more when Kafka returns.
func (p *Peers) Kafka(ctx context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	if err := checkRequest(q); err != nil {
		return nil, err
	}
	what := requestName(q, to)
	for again := true; ; again = false {
		l, err := connect(ctx, p, to, kafkaOf, p.dialKafka, p.newPipeline)
		if err != nil {
			return nil, err
		}
		a, sent, err := l.do(ctx, q, what)
		if err != nil && !sent && again && ctx.Err() == nil {
			continue // the connection had broken before it was used: that is not the caller's concern
		}
		return a, err
	}
}

func kafkaOf(r *remote) *slot[*pipeline] { return &r.kafka }

// pipeline is the Kafka connection to a broker that all share: requests are sent as they come, answers come in their order.
type pipeline struct {
	nc     net.Conn
	format *kmsg.RequestFormatter
	out    *outbox
	slots  chan struct{} // one token for each request under way

	mu          sync.Mutex // guards what follows; taken after outbox.mu, never before it
	waiting     []*asked   // oldest first
	correlation int32
	err         error // why it is broken; nil: it is not
}

// asked is a request that has not been answered.
type asked struct {
	correlation int32
	allowance   time.Duration
	came        chan answered // room for one
}

// answered is what came of a request: the frame, or why there is none.
type answered struct {
	frame []byte
	err   error
}

// newPipeline makes use of a connection. Its goroutines end with it, and Close of p waits for them.
func (p *Peers) newPipeline(g greeted) *pipeline {
	l := &pipeline{nc: g.Conn, format: formatter(g.self), out: newOutbox(g.Conn), slots: make(chan struct{}, maxPipelined)}
	p.wg.Go(func() { l.end(l.out.run(0)) })
	p.wg.Go(func() { l.end(l.read()) })
	return l
}

// do sends one request. sent is false if nothing of it can have reached the other side.
func (l *pipeline) do(ctx context.Context, q kmsg.Request, what string) (a kmsg.Response, sent bool, err error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.out.done:
		return nil, false, notAsked(what, errClosed)
	case <-ctx.Done():
		return nil, false, ended(ctx, what)
	}
	frame := l.format.AppendRequest(nil, q, 0)
	w := &asked{allowance: allowance(q), came: make(chan answered, 1)}
	err = l.out.push(ctx, len(frame), func(dst []byte) []byte {
		if !l.enqueue(w) {
			return dst
		}
		setCorrelation(frame, w.correlation)
		return append(dst, frame...)
	})
	if err != nil {
		<-l.slots
		if ctx.Err() != nil {
			return nil, false, ended(ctx, what)
		}
		return nil, false, notAsked(what, err)
	}
	select {
	case r := <-w.came:
		if r.err != nil {
			if w.correlation == 0 {
				return nil, false, notAsked(what, r.err)
			}
			return nil, true, failed(what, r.err)
		}
		if a, err = readAnswer(r.frame, q, w.correlation); err != nil {
			l.end(err)
			return nil, true, broken(what, err)
		}
		return a, true, nil
	case <-ctx.Done(): // the answer is dropped when it comes
		return nil, true, ended(ctx, what)
	}
}

// enqueue puts a request in line; false, and an answer, if the connection has ended.
func (l *pipeline) enqueue(w *asked) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		l.answer(w, answered{err: l.err})
		return false
	}
	l.correlation = max(l.correlation+1, 1)
	w.correlation = l.correlation
	l.waiting = append(l.waiting, w)
	if len(l.waiting) == 1 {
		l.watchLocked()
	}
	return true
}

// answer tells the one who asked, if it still waits, and lets the next one ask.
func (l *pipeline) answer(w *asked, r answered) {
	w.came <- r
	<-l.slots
}

// watchLocked gives the oldest request its time, counted from now; without one the connection may be idle as long as it likes.
func (l *pipeline) watchLocked() {
	var until time.Time
	if len(l.waiting) > 0 {
		until = time.Now().Add(l.waiting[0].allowance)
	}
	_ = l.nc.SetReadDeadline(until)
}

// Read reads from the connection. What comes gives the oldest request its time anew.
func (l *pipeline) Read(b []byte) (int, error) {
	n, err := l.nc.Read(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchLocked()
	return n, err
}

// read takes answers until the connection ends.
func (l *pipeline) read() error {
	r := bufio.NewReaderSize(l, 16<<10)
	for {
		var length [4]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return err
		}
		n, err := checkSize(length)
		if err != nil {
			return err
		}
		frame, err := readBytes(r, n)
		if err != nil {
			return err
		}
		w := l.oldest()
		if w == nil {
			return fmt.Errorf("%w: nothing was asked", errAnswer)
		}
		if got := int32(binary.BigEndian.Uint32(frame)); got != w.correlation {
			err := fmt.Errorf("%w: it is for request %d, expected was %d", errAnswer, got, w.correlation)
			l.answer(w, answered{err: err})
			return err
		}
		l.answer(w, answered{frame: frame})
	}
}

// oldest takes the request that the next answer is for; nil: there is none.
func (l *pipeline) oldest() *asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return nil
	}
	w := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.watchLocked()
	return w
}

// end breaks the connection, once; all who wait get an error.
func (l *pipeline) end(err error) {
	if err == nil {
		err = errClosed
	}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	l.out.close()
	_ = l.nc.Close()
	for _, w := range waiting {
		l.answer(w, answered{err: err})
	}
}

// live reports whether requests can be sent. Kafka frames do not say who sends them, so it is the same for all.
func (l *pipeline) live(identity) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err == nil
}
