package receiver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How an idle receiver waits: every broker in turn holds the request for its part of cycle, but for no less than shortestHold.
const (
	cycle        = 500 * time.Millisecond
	shortestHold = 50 * time.Millisecond
)

// Bytes that are asked for at most; a message that is larger comes all the same.
const (
	mostBytes          = 32 << 20
	mostPartitionBytes = 1 << 20
)

// Take returns between one and most messages that are held from now on, or none when ctx has ended before one came. An interruption takes
// effect between requests, since what a broker acquired for an answer nobody reads would come late and count as delivered.
func (r *Receiver) Take(ctx context.Context, most int) ([]*Message, error) {
	hold := time.Duration(0) // the first round only asks what is there
	for len(r.surplus) == 0 {
		if ctx.Err() != nil {
			return nil, nil
		}
		brokers, err := r.ready(ctx)
		if err != nil {
			return nil, err
		}
		for i, broker := range brokers {
			if ctx.Err() != nil {
				return nil, nil
			}
			if r.surplus, err = r.fetch(ctx, broker, most, within(ctx, hold)); err != nil {
				return nil, err
			}
			if len(r.surplus) > 0 {
				r.turn += i + 1
				break
			}
		}
		if len(brokers) > 0 {
			hold = max(shortestHold, cycle/time.Duration(len(brokers)))
		}
	}
	n := min(most, len(r.surplus))
	taken := r.surplus[:n:n]
	r.surplus = r.surplus[n:]
	return taken, nil
}

// ready is the brokers to ask. When there are none it has waited for a moment, or for an assignment.
func (r *Receiver) ready(ctx context.Context) ([]int32, error) {
	err := r.look(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, nil
	case err != nil && !passing(err):
		return nil, err
	}
	brokers := r.brokers()
	if err == nil && len(brokers) > 0 {
		return brokers, nil
	}
	assigned, _, changed, err := r.member.now()
	if err != nil {
		return nil, err
	}
	again := time.NewTimer(pause)
	defer again.Stop()
	var retry <-chan time.Time
	if len(assigned) > 0 {
		retry = again.C
	}
	select {
	case <-changed:
	case <-retry:
	case <-ctx.Done():
	}
	return nil, nil
}

// within is hold, or what is left of ctx if that is less.
func within(ctx context.Context, hold time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(0, min(hold, time.Until(deadline)))
	}
	return hold
}

// fetch is one ShareFetch. A broker that is away or no longer leads is an empty answer, after a pause.
func (r *Receiver) fetch(ctx context.Context, broker int32, most int, hold time.Duration) ([]*Message, error) {
	s := r.sessions[broker]
	if s == nil {
		s = &session{broker: broker}
		r.sessions[broker] = s
	}
	req := s.request(r.group, r.member.id, r.layout.led[broker])
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(hold.Milliseconds()), 1, mostBytes
	req.MaxRecords = int32(min(most, math.MaxInt32))
	req.BatchSize, req.ShareAcquireMode = req.MaxRecords, 1 // record_limit (KIP-1206)
	asked := time.Now()
	answer, err := r.ask(context.WithoutCancel(ctx), broker, req, hold)
	if err != nil {
		s.lost()
		return nil, r.retreat(ctx, err)
	}
	resp := answer.(*kmsg.ShareFetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		s.lost()
		if errors.Is(err, kerr.ShareSessionNotFound) || errors.Is(err, kerr.InvalidShareSessionEpoch) {
			return nil, nil // the next request opens another
		}
		return nil, r.retreat(ctx, withMessage(fmt.Errorf("receive from broker %d: %w", broker, err), resp.ErrorMessage))
	}
	s.went(req)
	return r.open(ctx, s, resp, asked.Add(time.Duration(resp.AcquisitionLockTimeoutMillis)*time.Millisecond))
}

// retreat waits a moment before the next try, which asks again who leads; an error that stays is returned.
func (r *Receiver) retreat(ctx context.Context, err error) error {
	if !passing(err) {
		return err
	}
	r.layout.stale = true
	_ = sleep(ctx, pause) // the caller looks at ctx
	return nil
}

func withMessage(err error, message *string) error {
	if message == nil || *message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, *message)
}
