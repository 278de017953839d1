package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// patience bounds a request whose caller has none of its own.
	patience = 30 * time.Second
	// shortPause and longPause bound the random pause before a request is made again; it ends early when somebody else decides.
	shortPause, longPause = 20 * time.Millisecond, 200 * time.Millisecond
	// answerPatience is how long the answer of a controller that another one has followed may take, where the request cannot be made
	// again.
	answerPatience = time.Second
)

// verb is a request that the controller decides, wherever it was made: Q and A are what it is asked and answers, as JSON between nodes.
type verb[Q, A any] struct {
	name string // of the method
	// again: to ask twice does no harm and the second answer is as good, so it is asked again when it is unknown what came of it.
	again  bool
	decide func(l *Loop, img *metadata.Image, q Q) ([]metadata.Record, A)
}

// here has this node decide.
func (v *verb[Q, A]) here(ctx context.Context, l *Loop, q Q) (A, error) {
	var answer A
	err := l.submit(ctx, func(img *metadata.Image) (records []metadata.Record) {
		records, answer = v.decide(l, img, q)
		return records
	})
	if err != nil {
		// The decision may still be running and writing its answer.
		var none A
		return none, err
	}
	return answer, nil
}

// ask has the request decided by whoever decides and returns when this node's image has what came of it (LOP-1). The answer is looked
// at only when there is no error.
func (v *verb[Q, A]) ask(ctx context.Context, l *Loop, q Q) (A, error) {
	if l.opts.Peers == nil {
		answer, err := v.here(ctx, l, q)
		return answer, explain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		changed := l.changed()
		answer, err := v.here(ctx, l, q)
		if errors.Is(err, errElsewhere) {
			if to := l.decider(try); to != kafka.NoBroker {
				answer, err = v.there(ctx, l, to, q)
			}
		}
		if !isVoid(err) && !(v.again && errors.Is(err, errUnknown)) {
			return answer, explain(err)
		}
		if sleep(ctx, backOff(try), changed) != nil || l.ctx.Err() != nil {
			return answer, explain(err)
		}
	}
}

// there has another node decide.
func (v *verb[Q, A]) there(ctx context.Context, l *Loop, to kafka.BrokerID, q Q) (A, error) {
	var answer, none A
	body, err := encode(q)
	if err != nil {
		return none, err
	}
	b, err := l.call(ctx, to, v.name, v.again, body)
	if err != nil {
		return none, fmt.Errorf("broker %d: %w", to, err)
	}
	r, err := decodeReply(b, &answer)
	if err != nil {
		return none, fmt.Errorf("broker %d: %w: %w", to, errUnknown, err)
	}
	switch {
	case r.Void:
		return none, fmt.Errorf("broker %d: %w", to, errElsewhere)
	case r.Unknown:
		return none, fmt.Errorf("broker %d: %w", to, errUnknown)
	case r.Refused.error != nil:
		return none, r.Refused.error
	}
	if err := l.awaitOffset(ctx, r.Offset); err != nil {
		return none, fmt.Errorf("broker %d has answered, and this one has not seen yet what follows from it: %w: %w", to, errUnknown, err)
	}
	return answer, nil
}

// serve is the method by which other nodes ask this one. It decides or says that it does not; it never asks a third.
func (v *verb[Q, A]) serve(l *Loop) peer.Handler {
	return func(ctx context.Context, from peer.Caller, body []byte) ([]byte, error) {
		var q Q
		if err := decode(body, &q); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		answer, err := v.here(ctx, l, q)
		r := reply{Offset: l.at()}
		switch {
		case err == nil:
			return r.encode(answer)
		case isVoid(err):
			r.Void = true
		case errors.Is(err, errUnknown), ctx.Err() != nil, l.ctx.Err() != nil:
			r.Unknown = true
		default:
			r.Refused = failure{explain(err)}
		}
		return r.encode(nil)
	}
}

// call is a call to a controller under way.
type call struct {
	to     kafka.BrokerID
	again  bool
	cancel context.CancelFunc
}

// call calls a method of a broker that may decide. The errors are isVoid if it has not been asked, errUnknown if it may have been.
func (l *Loop) call(ctx context.Context, to kafka.BrokerID, method string, again bool, body []byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &call{to: to, again: again, cancel: cancel}
	l.mu.Lock()
	l.calls[c] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.calls, c)
		l.mu.Unlock()
	}()
	b, err := l.opts.Peers.Call(ctx, to, method, body)
	switch code := kafka.CodeOf(err); {
	case err == nil:
		return b, nil
	case code == kafka.BrokerNotAvailable, code == kafka.NotController, errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: %w", errElsewhere, err)
	case code == kafka.NetworkException, code == kafka.RequestTimedOut, code == kafka.UnknownServerError:
		return nil, fmt.Errorf("%w: %w", errUnknown, err)
	default:
		return nil, err
	}
}

// supersedeLocked gives up the calls to controllers that another one has followed: they can commit nothing more. Those that cannot be made
// again get some time, for their answer may be on its way.
func (l *Loop) supersedeLocked(controller kafka.BrokerID) {
	for c := range l.calls {
		switch {
		case c.to == controller:
		case c.again:
			c.cancel()
		default:
			time.AfterFunc(answerPatience, c.cancel)
		}
	}
}

// backOff is the pause before attempt try+1.
func backOff(try int) time.Duration {
	d := min(shortPause<<min(try, 8), longPause)
	return d/2 + rand.N(d/2+1)
}

// sleep returns nil after d or once wake is closed, and the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	case <-wake:
	}
	return nil
}
