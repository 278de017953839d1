package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// finding is one line of the doctor's report.
type finding struct {
	Check  string `json:"check"`
	Level  string `json:"level"` // ok, warn, fail
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

// doctor collects findings; each check adds its own and the next ones go on from what was found.
type doctor struct {
	*connection
	findings []finding
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, advice, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "warn", fmt.Sprintf(format, args...), advice})
}

func (d *doctor) fail(check, advice, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "fail", fmt.Sprintf(format, args...), advice})
}

func newDoctorCommand(getenv func(string) string) *cobra.Command {
	conn := connection{getenv: getenv}
	var out output
	var write bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Connect as a client would, and name what is wrong and what to do",
		Long: `Connect as a client would: resolve the addresses, connect, speak the protocol, ask for metadata, connect to every
address that the cluster tells its clients to use, and look at the partitions. With --write also make a topic, write a
record, read it back and delete the topic. Exit code 1 if something is wrong; warnings do not count.`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := conn.resolve()
			if err != nil {
				return err
			}
			d := &doctor{connection: &conn}
			d.examine(cmd.Context(), p, write)
			if err := out.print(cmd.OutOrStdout(), d.findings, func(tb *table) { d.printTo(tb) }); err != nil {
				return err
			}
			return d.verdict()
		},
	}
	conn.register(cmd)
	out.register(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "also write and read a record in a topic of its own")
	return cmd
}

// examine runs the checks in the order in which a client would meet the trouble, and stops where nothing further can work.
func (d *doctor) examine(ctx context.Context, p *properties, write bool) {
	reached := false
	for _, addr := range p.brokers {
		reached = d.checkAddress(ctx, "address "+addr, addr, "check --brokers") || reached
	}
	if !reached {
		return
	}
	cl, err := d.open(ctx)
	if err != nil {
		d.fail("protocol", connectAdvice(p, err), "%v", errors.Unwrap(err))
		return
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 6*d.timeout)
	defer cancel()
	d.checkVersions(ctx, cl)
	m, ok := d.checkMetadata(ctx, cl)
	if !ok {
		return
	}
	reachable := d.checkAdvertised(ctx, cl, p, m)
	d.checkPartitions(m)
	if write && reachable {
		d.checkWrite(ctx)
	}
}

func (d *doctor) printTo(tb *table) {
	for _, f := range d.findings {
		tb.row(f.Level, f.Check, f.Detail)
		if f.Advice != "" {
			tb.row("", "", "-> "+f.Advice)
		}
	}
}

func (d *doctor) verdict() error {
	failed := 0
	for _, f := range d.findings {
		if f.Level == "fail" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(d.findings))
	}
	return nil
}

// checkWrite sends one record through the whole of the cluster with the code of produce and consume.
func (d *doctor) checkWrite(ctx context.Context) {
	const advice = "the steps before passed, so look into the broker's log; an ACL or a full disk are likely causes"
	b := &benchOptions{connection: *d.connection, partitions: 1, replicas: -1}
	started := time.Now()
	err := b.withTopic(ctx, func(topic string) error {
		cl, err := d.open(ctx, kgo.DefaultProduceTopic(topic), kgo.RecordDeliveryTimeout(max(d.timeout, time.Second)))
		if err != nil {
			return err
		}
		defer cl.Close()
		const sent = "rafka doctor"
		if err := cl.ProduceSync(ctx, kgo.StringRecord(sent)).FirstErr(); err != nil {
			return fmt.Errorf("write a record: %w", explain(err))
		}
		ctx, cancel := context.WithTimeout(ctx, d.timeout)
		defer cancel()
		got, err := readOne(ctx, d.connection, topic)
		if err == nil && got != sent {
			err = fmt.Errorf("read a record: wrote %q, got %q", sent, got)
		}
		return err
	})
	if err != nil {
		d.fail("write", advice, "%v", err)
		return
	}
	d.ok("write", "made a topic, wrote a record, read it back and deleted the topic in %s", time.Since(started).Round(time.Millisecond))
}

// readOne reads the first record of topic.
func readOne(ctx context.Context, conn *connection, topic string) (value string, err error) {
	o := consumeOptions{
		topics: []string{topic}, limit: 1, note: func(string, ...any) {},
		reach: offsetspec.Range{From: offsetspec.Bound{Kind: offsetspec.Start}},
		write: func(_ *bufio.Writer, r *kgo.Record) error { value = string(r.Value); return nil },
	}
	if err := o.run(ctx, conn, io.Discard); err != nil {
		return "", fmt.Errorf("read a record: %w", err)
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("read a record: none arrived within %s", conn.timeout)
	}
	return value, nil
}
