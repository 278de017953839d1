package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rafka-io/rafka/cmd/rafka/internal/receiver"
)

// exitRejects is the exit code of --exec's command that gives a message up.
const exitRejects = 100

// shortestRenewal keeps a broker with a very short hold from being asked without a pause.
const shortestRenewal = 100 * time.Millisecond

// runEach runs the command for each message and settles it by the exit code. A command that is interrupted releases its message.
func (o *receiveOptions) runEach(ctx context.Context, from *receiver.Receiver, cmd *cobra.Command, messages []*receiver.Message) error {
	for i, m := range messages {
		status, err := o.runOne(ctx, from, cmd, m)
		if err != nil {
			o.settle(ctx, from, cmd, receiver.Release, messages[i:]...)
			return err
		}
		o.settle(ctx, from, cmd, status, m)
		if status != receiver.Accept {
			fmt.Fprintf(cmd.ErrOrStderr(), "rafka: %s/%d@%d: %s (delivery %d)\n", m.Topic, m.Partition, m.Offset,
				map[receiver.Status]string{receiver.Reject: "rejected", receiver.Release: "released"}[status], m.Deliveries)
		}
	}
	return nil
}

// runOne runs the command for one message and says what becomes of it. The error is that the command cannot be run at all.
func (o *receiveOptions) runOne(ctx context.Context, from *receiver.Receiver, cmd *cobra.Command, m *receiver.Message) (receiver.Status, error) {
	shell := []string{"sh", "-c", o.exec}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/c", o.exec}
	}
	worker := exec.CommandContext(ctx, shell[0], shell[1:]...)
	worker.Stdin, worker.Stdout, worker.Stderr = bytes.NewReader(m.Value), cmd.OutOrStdout(), cmd.ErrOrStderr()
	worker.Env = append(os.Environ(), "RAFKA_TOPIC="+m.Topic, "RAFKA_PARTITION="+strconv.Itoa(int(m.Partition)), "RAFKA_OFFSET="+strconv.FormatInt(m.Offset, 10),
		"RAFKA_KEY="+envText(m.Key), "RAFKA_DELIVERY_COUNT="+strconv.Itoa(int(m.Deliveries)))
	worker.WaitDelay = 5 * time.Second // for grandchildren that keep stdout open
	if err := worker.Start(); err != nil {
		return receiver.Release, fmt.Errorf("run %q: %w", o.exec, err)
	}
	done := make(chan error, 1)
	go func() { done <- worker.Wait() }()
	err := renewUntil(ctx, from, m, done)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return receiver.Accept, nil
	case errors.As(err, &exit) && exit.ExitCode() == exitRejects:
		return receiver.Reject, nil
	}
	return receiver.Release, nil
}

// renewUntil renews the hold on a message until its command is done, at half the time that is left each time. It returns the command's error.
// A renewal that fails shows when the message is settled.
func renewUntil(ctx context.Context, from *receiver.Receiver, m *receiver.Message, done <-chan error) error {
	for {
		half := min(receiver.LongestRest, max(shortestRenewal, time.Until(m.HeldUntil)/2))
		again := time.NewTimer(half)
		select {
		case err := <-done:
			again.Stop()
			return err
		case <-again.C:
			renewCtx, cancel := context.WithTimeout(ctx, half)
			_ = from.Settle(renewCtx, receiver.Renew, m)
			cancel()
		}
	}
}

// envText is bytes as the environment takes them: up to the first NUL.
func envText(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
