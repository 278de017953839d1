package textsrv

import (
	"net"
	"sync"
	"time"
)

const (
	writeBuffer  = 32 << 10             // answers are written when so much has gathered, and when nothing more is owed
	longestDelay = 2 * time.Millisecond // or after this, while a later answer is waited for
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, writeBuffer+4<<10); return &b }}

// output gathers answers. An idle connection holds no buffer.
type output struct {
	conn    net.Conn
	timeout time.Duration

	mu      sync.Mutex // guards what follows; held while writing, which the deadline bounds
	pending *[]byte    // from writeBuffers; nil: nothing gathered
	err     error      // of the first write that failed
}

// write gathers the pieces of an answer.
func (o *output) write(pieces ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range pieces {
		*o.buffer() = append(*o.buffer(), p...)
	}
	o.flushIfFull()
}

// writeBytes gathers one piece.
func (o *output) writeBytes(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*o.buffer() = append(*o.buffer(), b...)
	o.flushIfFull()
}

// flush sends what was gathered and reports the connection's first error.
func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
	return o.err
}

// whileWaiting runs wait; what was gathered before leaves soon even if wait takes long.
func (o *output) whileWaiting(wait func()) {
	if o.isEmpty() {
		wait()
		return
	}
	timer := time.AfterFunc(longestDelay, func() { _ = o.flush() }) // who writes next sees the error
	defer timer.Stop()
	wait()
}

// probe finds out whether the peer has reset the connection, as it does some time after closing its end without reading ours.
func (o *output) probe() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		if o.err = o.conn.SetWriteDeadline(time.Now().Add(o.timeout)); o.err == nil {
			_, o.err = o.conn.Write(nil)
		}
	}
	return o.err
}

func (o *output) isEmpty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pending == nil
}

func (o *output) failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err != nil
}

func (o *output) buffer() *[]byte {
	if o.pending == nil {
		o.pending = writeBuffers.Get().(*[]byte)
	}
	return o.pending
}

func (o *output) flushIfFull() {
	if len(*o.buffer()) >= writeBuffer {
		o.flushLocked()
	}
}

func (o *output) flushLocked() {
	if o.pending == nil {
		return
	}
	if o.err == nil {
		if o.err = o.conn.SetWriteDeadline(time.Now().Add(o.timeout)); o.err == nil {
			_, o.err = o.conn.Write(*o.pending)
		}
	}
	if cap(*o.pending) <= 2*writeBuffer {
		*o.pending = (*o.pending)[:0]
		writeBuffers.Put(o.pending)
	}
	o.pending = nil
}
