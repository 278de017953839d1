package quorum

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// quiet is how long a warning of etcd's keeps others of the same text from being logged: while a voter is away etcd says so several times
// a second.
const quiet = 10 * time.Second

// maxTexts bounds the texts that are remembered; when it is reached they are forgotten.
const maxTexts = 256

// chatter are warnings about what is chosen on purpose (one unix socket for all clients, batches of metadata of up to 16 MiB), and of what
// happens at every start and passes by itself.
var chatter = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"exceeded recommended request limit":                                                   true,
	"Failed to detect schema version":                                                      true,
	"failed to update storage version":                                                     true,
	"ignored out-of-date read index response; local node read indexes queueing up and waiting to be in sync with leader": true,
}

// bridge is the core of a zap logger that hands warnings and errors to slog.
type bridge struct {
	to     *slog.Logger
	fields []zapcore.Field
	said   *said
}

// said is shared by the cores of one logger.
type said struct {
	mu    sync.Mutex
	at    map[string]time.Time // when a text was logged last
	muted bool
}

func newBridge(to *slog.Logger) *bridge {
	return &bridge{to: to, said: &said{at: map[string]time.Time{}}}
}

// mute ends the logging, but for what ends the process: an etcd that is closed complains of every listener that it loses.
func (b *bridge) mute() {
	b.said.mu.Lock()
	defer b.said.mu.Unlock()
	b.said.muted = true
}

func (b *bridge) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	all := append(append([]zapcore.Field(nil), b.fields...), fields...)
	return &bridge{to: b.to, fields: all, said: b.said}
}

func (b *bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(e.Level) || e.Level <= zapcore.ErrorLevel && !b.said.worth(e) {
		return c
	}
	return c.AddCore(e, b)
}

func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if e.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(append([]zapcore.Field(nil), b.fields...), fields...) {
		f.AddTo(enc)
	}
	attrs := make([]slog.Attr, 0, len(enc.Fields))
	for name, value := range enc.Fields {
		attrs = append(attrs, slog.Any(name, value))
	}
	b.to.LogAttrs(context.Background(), level, "etcd: "+e.Message, attrs...)
	if e.Level >= zapcore.DPanicLevel {
		b.to.Error("the metadata cannot be kept here, and this process ends with them; others take over. See above for the reason: is the disk full or broken? Mend it and start the broker again")
	}
	return nil
}

func (b *bridge) Sync() error { return nil }

// worth reports whether a warning or an error should be logged now.
func (s *said) worth(e zapcore.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.muted || chatter[e.Message] {
		return false
	}
	if e.Level > zapcore.WarnLevel {
		return true
	}
	if last, ok := s.at[e.Message]; ok && e.Time.Sub(last) < quiet {
		return false
	}
	if len(s.at) >= maxTexts {
		clear(s.at)
	}
	s.at[e.Message] = e.Time
	return true
}
