package kafkasrv

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/wire"
)

// errUnsupported says that a client asked for an API or a version that it was not offered. Like Kafka we close: without knowing the
// version there is no answer that the client could read.
var errUnsupported = errors.New("unsupported API or version")

// request is one request from its frame to its answer. Requests are pooled; everything in one is invalid after free.
type request struct {
	conn        *conn
	api         *api
	key         int16 // of the API
	version     int16
	correlation int32
	flexible    bool
	unknown     bool // ApiVersions of a version that is not ours
	session     *broker.Session
	began       time.Time // when the whole frame had come

	frame *wire.Frame // nil once it was given back
	body  []byte      // of frame

	content wire.Content // APIs that have a shape
	held    int64        // bytes of the gate for large answers
	produce *produceCall // or one of these two, which decode by hand
	fetch   *fetchCall
}

var requestPool = sync.Pool{New: func() any { return new(request) }}

// next reads the next request and does what must happen in order: a produce is appended. The caller holds the reading role.
//
// An idle connection waits in here, so this function and those it is called by have small frames: above about 1.2 KB on the stack the
// runtime would not give back the half of the stack that a produce needed once.
func (c *conn) next() (*request, error) {
	f, err := c.frames.Next(c.ctx.Done())
	if err != nil {
		return nil, err
	}
	return c.begin(f)
}

// begin makes a request of a frame.
//
//go:noinline
func (c *conn) begin(f *wire.Frame) (*request, error) {
	if !c.queue.begin() {
		f.Release()
		return nil, c.discard()
	}
	r := requestPool.Get().(*request)
	*r = request{conn: c, frame: f, began: c.srv.opts.Now()}
	if err := r.parse(); err != nil {
		r.free()
		return nil, err
	}
	return r, nil
}

// discard reads to the end of the connection while it drains: what was read before is being answered. Reading on notices that the client
// has gone, or that whoever drains has lost patience and closed the connection.
func (c *conn) discard() error {
	var nowhere [512]byte
	for {
		if _, err := c.Read(nowhere[:]); err != nil && !errors.Is(err, errRest) {
			return errClosed
		}
	}
}

// parse reads the header, finds the API, and makes sure that the body is what it says.
func (r *request) parse() error {
	s := r.conn.srv
	key, version, err := wire.PeekHeader(r.frame.Bytes())
	if err != nil {
		return err
	}
	r.key, r.version = key, version
	r.api = s.apis.find(key)
	if r.api == nil {
		return fmt.Errorf("%w: API key %d version %d", errUnsupported, key, version)
	}
	r.unknown = version < r.api.min || version > r.api.max
	if r.unknown && key != keyApiVersions {
		return fmt.Errorf("%w: %s version %d, offered are %d to %d", errUnsupported, r.api.name, version, r.api.min, r.api.max)
	}
	r.flexible = version >= r.api.flexible
	h, body, err := wire.ParseHeader(r.frame.Bytes(), r.flexible && !r.unknown)
	if err != nil {
		return fmt.Errorf("header of %s version %d: %w", r.api.name, version, err)
	}
	r.correlation, r.body = h.Correlation, body
	r.session = r.conn.sessionFor(h.ClientID)
	switch {
	case r.unknown:
		return nil // ApiVersions of a version to come: its body is anybody's guess, and the answer does not need it
	case r.api.start != nil:
		err = r.api.start(r)
	default:
		r.content, err = r.api.shape.Walk(body, version, r.flexible)
	}
	if err != nil {
		return fmt.Errorf("%s version %d: %w", r.api.name, version, err)
	}
	return nil
}

// releaseFrame gives the request's bytes back before the answer; the caller has kept nothing of them.
func (r *request) releaseFrame() {
	r.frame.Release()
	r.frame, r.body = nil, nil
}

func (r *request) free() {
	r.frame.Release()
	if r.produce != nil {
		r.produce.free()
	}
	if r.fetch != nil {
		r.fetch.free()
	}
	*r = request{}
	requestPool.Put(r)
}

// ready reports whether the answer can be had without waiting.
func (r *request) ready() bool { return r.produce != nil && isReady(r.produce.await) }

// answer waits for the request's effects and writes the answer into o. An error ends the connection.
func (r *request) answer(o *out) error {
	switch {
	case r.produce != nil:
		return r.answerProduce(o)
	case r.fetch != nil:
		return r.answerFetch(o)
	}
	return r.answerMessage(o)
}

// freeAnswer is up to how many bytes an answer may cost without asking the gate: nearly all do, and a connection builds one at a time.
const freeAnswer = 64 << 10

// answerMessage decodes the request, calls the API's handler and encodes what it returns.
func (r *request) answerMessage(o *out) error {
	cost := r.content.DecodedSize()
	if r.api.cost != nil {
		cost += r.api.cost(r)
	}
	defer r.letGo()
	r.hold(cost)
	if r.conn.ctx.Err() != nil {
		return errClosed
	}
	msg, err := r.decode()
	if err != nil {
		return err
	}
	resp, err := r.serve(msg)
	if err != nil {
		return err
	}
	resp.SetVersion(msg.GetVersion())
	if r.conn.ctx.Err() != nil {
		return errClosed // the verb may have been cut short: its answer is not to be believed
	}
	flexible := r.flexible && r.key != keyApiVersions
	if r.unknown {
		flexible = false // answered in version 0
	}
	start := len(o.buf)
	o.buf = wire.BeginResponse(o.buf, r.correlation, flexible)
	o.buf = resp.AppendTo(o.buf)
	wire.EndResponse(o.buf, start, 0)
	if r.held == 0 && r.key != keyShareFetch {
		return nil
	}
	err = o.flush() // the gate is for what is held, and it is held until it is written
	if r.key == keyShareFetch {
		r.conn.srv.broker.ShareFetchWritten(r.conn.share)
	}
	return err
}

// shareSession is the session that the connection's share groups know it by: the first one, whatever the client calls itself later.
func (r *request) shareSession() *broker.Session {
	if r.conn.share == nil {
		r.conn.share = r.session
	}
	return r.conn.share
}

// hold asks the gate for what an answer costs, unless that is little. When the connection ends first it holds nothing, which the caller
// finds by the connection's context.
func (r *request) hold(cost int64) {
	if cost <= freeAnswer || r.held > 0 {
		return
	}
	taken, err := r.conn.srv.answers.Acquire(r.conn.ctx.Done(), cost)
	if err != nil {
		return
	}
	r.held = taken
	r.conn.holding.Store(true)
}

// letGo gives back what hold has taken.
func (r *request) letGo() {
	if r.held > 0 {
		r.conn.holding.Store(false)
		r.conn.srv.answers.Release(r.held)
		r.held = 0
	}
}

// beginWait gives back the frame and the gate before a wait that may take minutes. The caller has made the request's bytes its own; its
// strings are copies already.
func (r *request) beginWait() {
	r.releaseFrame()
	r.letGo()
	r.conn.queue.setWaiting(true)
}

// endWait says that the wait is over.
func (r *request) endWait() { r.conn.queue.setWaiting(false) }

// serve calls the API's handler. A panic in there is a bug that this request has met: it ends the connection, and the others go on.
func (r *request) serve(msg kmsg.Request) (resp kmsg.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.conn.srv.opts.Log.Error("a request met a bug: please report it", "api", r.api.name, "version", r.version, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s version %d met a bug: %v", r.api.name, r.version, p)
		}
	}()
	return r.api.handle(r.conn.ctx, r, msg), nil
}

// decode makes the message of the body, which parse has walked. The decoder is another project's: should it panic on what the walk has
// let through, that ends this connection and not the broker. It touches nothing shared.
func (r *request) decode() (msg kmsg.Request, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s version %d: %w: the decoder says %v", r.api.name, r.version, wire.ErrMalformed, p)
		}
	}()
	msg = kmsg.RequestForKey(r.key)
	if r.unknown {
		msg.SetVersion(0)
		return msg, nil
	}
	msg.SetVersion(r.version)
	if err := msg.ReadFrom(r.body); err != nil {
		return nil, fmt.Errorf("%s version %d: %w", r.api.name, r.version, err)
	}
	return msg, nil
}

// handler answers one API: it calls the broker and may wait.
type handler func(ctx context.Context, r *request, msg kmsg.Request) kmsg.Response

// typed makes a handler of a function of concrete messages: the response comes with its defaults and the request's version.
func typed[Q, A any, QP interface {
	*Q
	kmsg.Request
}, AP interface {
	*A
	kmsg.Response
}](fn func(ctx context.Context, r *request, q QP, a AP)) handler {
	return func(ctx context.Context, r *request, msg kmsg.Request) kmsg.Response {
		a := msg.ResponseKind()
		fn(ctx, r, msg.(QP), a.(AP))
		return a
	}
}

// verb makes a handler of a verb whose messages are those on the wire, in every version.
func verb[QP kmsg.Request, AP kmsg.Response](ask func(Broker, context.Context, *broker.Session, QP) AP) handler {
	return func(ctx context.Context, r *request, msg kmsg.Request) kmsg.Response {
		return ask(r.conn.srv.broker, ctx, r.session, msg.(QP))
	}
}
