package textsrv

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
)

// Why a CONSUME … FOLLOW or a TAKE … WAIT ended, other than by an error of the broker.
var (
	errStopped      = errors.New("stopped")
	errBehindFollow = errors.New("too much waits behind FOLLOW or WAIT; send STOP first, or use a connection of its own for it")
	errShutdown     = errors.New("the broker is shutting down; connect again in a moment")
	errPeerGone     = errors.New("the connection is gone")
)

// maxMisses is how many lines in a row may be no command before the peer is taken for something that does not speak this protocol.
const maxMisses = 20

// connection is one client. serve's goroutine reads: it starts messages at once and hands everything on in order; the other one answers.
type connection struct {
	server  *Server
	conn    net.Conn
	session *broker.Session
	ctx     context.Context // ends with errShutdown or errPeerGone
	cancel  context.CancelCauseFunc
	lines   lines
	backlog *backlog
	out     output
	misses  int         // lines in a row that were no command; the reader's
	holds   bool        // a token of longLines; the reader's
	eof     atomic.Bool // the client sends nothing any more but may still read
	scratch []byte      // of the goroutine that answers, as are the next two
	given   *commits    // what a CONSUME … GROUP gave last; nil: nothing
	queues  memberships // what TAKE takes from and holds
}

func newConnection(ctx context.Context, s *Server, conn net.Conn, session *broker.Session) *connection {
	c := &connection{
		server: s, conn: conn, session: session, backlog: newBacklog(),
		lines: lines{r: bufio.NewReaderSize(conn, readBuffer), limit: s.opts.MaxLine},
		out:   output{conn: conn, timeout: s.opts.WriteTimeout},
	}
	c.lines.grow = c.takeToken
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

// serve ends when the client has left, has quit, or ctx has ended (TXT-5).
func (c *connection) serve() {
	defer c.conn.Close()
	defer c.cancel(nil)
	stop := context.AfterFunc(c.ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) }) // wakes the reader
	defer stop()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.answer()
	}()
	c.read()
	c.releaseToken()
	c.backlog.close()
	<-answered
	c.leaveQueues()
	c.part()
}

// part ends the conversation where the client may still be sending: closing with unread bytes would reset the connection, and with it
// the answer that says why.
func (c *connection) part() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || c.eof.Load() || c.ctx.Err() != nil || half.CloseWrite() != nil {
		return
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, c.conn, longLine)
}

func (c *connection) read() {
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(c.server.opts.IdleTimeout)) // its error comes back from the read
		if c.ctx.Err() != nil {
			return
		}
		line, err := c.lines.next()
		switch {
		case err == nil:
			if !c.take(line) {
				return
			}
			c.releaseToken()
		case errors.Is(err, errLineTooLong):
			c.releaseToken()
			if !c.miss(fmt.Errorf("the line is longer than %d bytes and was skipped", c.server.opts.MaxLine)) {
				return
			}
		case c.ctx.Err() != nil:
			return
		case isTimeout(err) && c.lines.underWay():
			c.reply(fmt.Errorf("the line did not end in time"))
			return
		case isTimeout(err):
			if c.backlog.isIdle() {
				c.reply(fmt.Errorf("closed: there was no command for %s", c.server.opts.IdleTimeout))
				return
			}
		case errors.Is(err, io.EOF):
			c.eof.Store(true)
			if rest := c.lines.rest(); rest != nil {
				c.take(rest)
			}
			return
		default:
			c.cancel(errPeerGone)
			return
		}
	}
}

// take parses a line and starts or queues its command; false: the connection shall end.
func (c *connection) take(line []byte) bool {
	if isHTTP(line) {
		c.reply(errors.New("this is no HTTP port but Kafka's, with commands for nc; HELP lists them. HTTP is on the port of --http-addr"))
		return false
	}
	canStart := c.backlog.canStart(len(line))
	if !canStart {
		line = bytes.Clone(line) // it must outlive the reader's buffer
	}
	cmd, err := parse(line)
	if err != nil {
		return c.miss(err)
	}
	if cmd.verb == verbNone {
		return true
	}
	c.misses = 0
	c.server.counts.commands.Add(1)
	switch cmd.verb {
	case verbQuit:
		c.backlog.push(&task{answer: "OK\n"})
		return false
	case verbStop:
		c.backlog.stopFollow()
		c.backlog.push(&task{answer: "OK\n"})
	case verbProduce:
		if !canStart {
			c.backlog.push(&task{command: cmd, lineBytes: len(line)})
			break
		}
		publishing, err := c.start(&cmd)
		if err != nil {
			c.reply(err)
			break
		}
		c.backlog.push(&task{publishing: publishing, isStarted: true})
	default:
		t := &task{command: cmd, lineBytes: len(line)}
		if cmd.canWait() {
			t.ctx, t.stop = context.WithCancelCause(c.ctx)
		}
		c.backlog.push(t)
	}
	return true
}

// miss answers a line that was no command; false after too many in a row.
func (c *connection) miss(err error) bool {
	c.server.counts.commands.Add(1)
	if c.misses++; c.misses >= maxMisses {
		err = fmt.Errorf("%w; closed after %d lines that were no command", err, maxMisses)
	}
	c.reply(err)
	return c.misses < maxMisses
}

// reply queues an error as the answer.
func (c *connection) reply(err error) {
	c.server.counts.failures.Add(1)
	c.backlog.push(&task{answer: errorLine(err)})
}

func errorLine(err error) string {
	return "ERROR: " + strings.NewReplacer("\n", " ", "\r", " ").Replace(err.Error()) + "\n"
}

// answer carries out what waits and writes every answer, in order (TXT-1).
func (c *connection) answer() {
	defer c.backlog.kill()
	for {
		t, ok := c.backlog.pop()
		if !ok {
			break
		}
		c.carryOut(t)
		if c.backlog.done(t) {
			_ = c.out.flush()
		}
		if c.out.failed() {
			break
		}
	}
	if c.out.flush() != nil {
		c.cancel(errPeerGone) // wakes the reader
	}
}

func (c *connection) carryOut(t *task) {
	switch {
	case t.answer != "":
		c.out.write(t.answer)
	case t.isStarted:
		c.finishProduce(t.publishing)
	case c.ctx.Err() != nil:
		c.fail(errShutdown)
	default:
		_ = c.out.flush() // it may take long; an error comes back from the next one
		c.run(t)
	}
}

// fail writes an error as the answer.
func (c *connection) fail(err error) {
	c.server.counts.failures.Add(1)
	c.out.write(errorLine(err))
}

// takeToken is called when a line gets long. It waits for its turn, so long lines of many clients do not add up.
func (c *connection) takeToken() error {
	deadline := time.Now().Add(c.server.opts.LineTimeout)
	timer := time.NewTimer(c.server.opts.LineTimeout)
	defer timer.Stop()
	select {
	case c.server.longLines <- struct{}{}:
		c.holds = true
		return c.conn.SetReadDeadline(deadline)
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	case <-timer.C:
		return errTimeout
	}
}

func (c *connection) releaseToken() {
	if c.holds {
		<-c.server.longLines
		c.holds = false
	}
}

var errTimeout = errors.New("no room for a long line in time")

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, errTimeout) || errors.As(err, &n) && n.Timeout()
}
