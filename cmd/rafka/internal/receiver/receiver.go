package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Status is what becomes of a message. The numbers are the protocol's.
type Status int8

// The kinds of acknowledgement (KIP-932; renew: KIP-1222).
const (
	gap     Status = 0 // an offset without a record
	Accept  Status = 1 // it is done
	Release Status = 2 // it goes back to the queue
	Reject  Status = 3 // it is given up
	Renew   Status = 4 // it is held for another lock duration
)

// Message is a record that this receiver holds.
type Message struct {
	*kgo.Record
	Deliveries int32     // this one included
	HeldUntil  time.Time // by this machine's clock, not counting what the answer took to come
	topic      [16]byte
	home       *session
	life       int // of home, when it was acquired
}

// Receiver is a member of a share group. Its methods are called by one goroutine at a time.
type Receiver struct {
	cl       *kgo.Client
	patience time.Duration // for one request, over what the broker may wait
	group    string
	member   *membership
	layout   layout // who leads what we are to read
	sessions map[int32]*session
	turn     int // which broker comes first, so that none is always last
	surplus  []*Message
}

// LongestRest is how long the connection to a broker that holds messages may be silent: Kafka closes those that are idle for ten minutes,
// and with the connection goes what it holds. Renew earlier, though the lock be longer.
const LongestRest = 5 * time.Minute

// Options are what the client of a Receiver needs: it, too, must not close connections that rest.
func Options() []kgo.Opt {
	return []kgo.Opt{kgo.ConnIdleTimeout(15 * time.Minute)}
}

// Join makes a member of the group, which reads topics. While the group's coordinator is away or loads it tries again, until ctx ends. The
// client is the caller's to close, after the Receiver. No request takes longer than patience, over the time a broker may wait for messages.
func Join(ctx context.Context, cl *kgo.Client, group string, topics []string, patience time.Duration) (*Receiver, error) {
	member, err := join(ctx, cl, group, topics, patience)
	if err != nil {
		return nil, err
	}
	return &Receiver{cl: cl, patience: patience, group: group, member: member, sessions: make(map[int32]*session)}, nil
}

// Close releases what is left of a surplus, closes the sessions, by which brokers release whatever is not settled, and leaves the group. The
// error is of what could not be told; brokers find out by themselves when the connections are closed.
func (r *Receiver) Close(ctx context.Context) error {
	var errs []error
	if len(r.surplus) > 0 {
		errs = append(errs, r.Settle(ctx, Release, r.surplus...))
		r.surplus = nil
	}
	for _, s := range r.sessions {
		if s.epoch > 0 {
			errs = append(errs, s.end(ctx, r))
		}
	}
	return errors.Join(append(errs, r.member.leave(ctx))...)
}

// ask sends a request to one broker. What a broker does not answer within patience and wait is an error.
func (r *Receiver) ask(ctx context.Context, broker int32, req kmsg.Request, wait time.Duration) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+r.patience)
	defer cancel()
	resp, err := r.cl.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("ask broker %d: %w", broker, err)
	}
	return resp, nil
}
