package quorum

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

// Who reads the log of a broker that ended because etcd cannot write is told what to do.
func TestTheEndIsExplained(t *testing.T) {
	var out bytes.Buffer
	b := newBridge(slog.New(slog.NewTextHandler(&out, nil)))
	b.mute() // which is not for this
	for _, level := range []zapcore.Level{zapcore.ErrorLevel, zapcore.FatalLevel} {
		out.Reset()
		e := zapcore.Entry{Level: level, Message: "failed to commit tx"}
		if c := b.Check(e, nil); c != nil {
			_ = b.Write(e, nil)
		}
		if explained := strings.Contains(out.String(), "start the broker again"); explained != (level == zapcore.FatalLevel) {
			t.Errorf("at level %v: %s", level, out.String())
		}
	}
}
