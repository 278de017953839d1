package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// stopWhenReady cancels once the server has announced that it is ready.
type stopWhenReady struct {
	cancel context.CancelCauseFunc
	why    error
}

func (s stopWhenReady) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("ready in")) {
		s.cancel(s.why)
	}
	return len(b), nil
}

// A signal reaches the server as the end of its context and as nothing else. Once it also listened for signals itself, and took the first
// one, when it came by the other way a moment later, for the second: the process ended without a clean stop.
func TestServeStopsCleanlyWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var log bytes.Buffer
	none := ""
	addr := "127.0.0.1:0"
	err := runServer(ctx, serveOptions{
		dataDir: t.TempDir(), kafkaAddr: &addr, httpAddr: &none, grpcAddr: &none,
		stdout: stopWhenReady{cancel, errors.New("terminated signal received")}, stderr: &log,
	})
	if err != nil || !strings.Contains(log.String(), "terminated signal received") {
		t.Errorf("%v, log:\n%s", err, log.String())
	}
}
