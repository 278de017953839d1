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
	"github.com/twmb/franz-go/pkg/kgo"
)

// exitRejects is the exit code of --exec's command that gives a message up.
const exitRejects = 100

// shortestRenewal keeps a broker with a very short hold from being asked without a pause.
const shortestRenewal = 100 * time.Millisecond

// runEach runs the command for each message and settles it by the exit code. A command that is interrupted releases its message.
func (o *receiveOptions) runEach(ctx context.Context, cl *kgo.Client, cmd *cobra.Command, records []*kgo.Record) error {
	for i, r := range records {
		status, err := o.runOne(ctx, cl, cmd, r)
		if err != nil {
			for _, rest := range records[i:] {
				rest.Ack(kgo.AckRelease)
			}
			return err
		}
		r.Ack(status)
		if status != kgo.AckAccept {
			fmt.Fprintf(cmd.ErrOrStderr(), "rafka: %s/%d@%d: %s (delivery %d)\n", r.Topic, r.Partition, r.Offset,
				map[kgo.AckStatus]string{kgo.AckReject: "rejected", kgo.AckRelease: "released"}[status], r.DeliveryCount())
		}
	}
	return nil
}

// runOne runs the command for one message and says what becomes of it. The error is that the command cannot be run at all.
func (o *receiveOptions) runOne(ctx context.Context, cl *kgo.Client, cmd *cobra.Command, r *kgo.Record) (kgo.AckStatus, error) {
	shell := []string{"sh", "-c", o.exec}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/c", o.exec}
	}
	worker := exec.CommandContext(ctx, shell[0], shell[1:]...)
	worker.Stdin, worker.Stdout, worker.Stderr = bytes.NewReader(r.Value), cmd.OutOrStdout(), cmd.ErrOrStderr()
	worker.Env = append(os.Environ(), "RAFKA_TOPIC="+r.Topic, "RAFKA_PARTITION="+strconv.Itoa(int(r.Partition)), "RAFKA_OFFSET="+strconv.FormatInt(r.Offset, 10),
		"RAFKA_KEY="+envText(r.Key), "RAFKA_DELIVERY_COUNT="+strconv.Itoa(int(r.DeliveryCount())))
	worker.WaitDelay = 5 * time.Second // for grandchildren that keep stdout open
	if err := worker.Start(); err != nil {
		return kgo.AckRelease, fmt.Errorf("run %q: %w", o.exec, err)
	}
	done := make(chan error, 1)
	go func() { done <- worker.Wait() }()
	err := renewUntil(ctx, cl, r, done)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return kgo.AckAccept, nil
	case errors.As(err, &exit) && exit.ExitCode() == exitRejects:
		return kgo.AckReject, nil
	}
	return kgo.AckRelease, nil
}

// renewUntil renews the hold on a message until its command is done, at half the time that is left each time. It returns the command's error.
// A renewal that fails shows when the message is settled.
func renewUntil(ctx context.Context, cl *kgo.Client, r *kgo.Record, done <-chan error) error {
	hold := max(shortestRenewal, time.Until(r.AcquisitionDeadline()))
	tick := time.NewTicker(hold / 2)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			r.Ack(kgo.AckRenew)
			renewCtx, cancel := context.WithTimeout(ctx, hold/2)
			_ = cl.FlushAcks(renewCtx)
			cancel()
		}
	}
}

// envText is bytes as the environment takes them: up to the first NUL.
func envText(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
