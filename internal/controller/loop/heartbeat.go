package loop

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxHeartbeats bounds the heartbeats on their way: one that is slow does not keep the next one from being sent. More would prolong the controller's
// belief in a broker that is heard and hears nothing, and sends so many without an answer.
const maxHeartbeats = 2

// heartbeat says that a broker lives and how far it is.
type heartbeat struct {
	Node        kafka.BrokerID
	Incarnation kafka.UUID // zero: a cluster of one that nobody has joined yet
	Epoch       int64
	Offset      metadata.Offset
	// Features is the highest level of each feature that the broker understands; nil of a release that does not say it.
	Features map[string]int16 `json:",omitempty"`
	// Loads is in one heartbeat every loadsEvery.
	Loads *[]controller.Load `json:",omitempty"`
}

// pulse answers it.
type pulse struct {
	// Fenced: the broker serves nothing yet, or no more.
	Fenced bool `json:",omitempty"`
	// Confirmed: the controller has made sure lately that it is the only one, and Unsure is how long before this answer it began to.
	Confirmed bool          `json:",omitempty"`
	Unsure    time.Duration `json:",omitempty"`
}

// beat sends heartbeats until the loop ends.
func (l *Loop) beat() {
	tick := time.NewTicker(l.opts.HeartbeatInterval)
	defer tick.Stop()
	changed := l.changed()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		case <-l.self.beatNow:
		case <-changed:
			changed = l.changed()
		}
		if l.BrokerEpoch() < 0 || l.self.inFlight.Load() >= maxHeartbeats {
			continue
		}
		l.self.inFlight.Add(1)
		l.wg.Go(func() {
			defer l.self.inFlight.Add(-1)
			l.sendHeartbeat()
		})
	}
}

// sendHeartbeat sends one and does what its answer says.
func (l *Loop) sendHeartbeat() {
	ctx, cancel := context.WithTimeout(l.ctx, l.opts.Lease)
	defer cancel()
	sent := l.opts.Now()
	h := heartbeat{Node: l.opts.Node, Offset: l.at()}
	h.Incarnation, h.Epoch, h.Features = l.self.identity()
	h.Loads = l.loadsDue(sent)
	answer, err := l.pulse(ctx, h)
	if err != nil {
		l.self.failed.Add(1)
		if h.Epoch != l.BrokerEpoch() {
			return
		}
		switch kafka.CodeOf(err) {
		case kafka.StaleBrokerEpoch, kafka.BrokerIDNotRegistered:
			l.registerAnew()
		case kafka.DuplicateBrokerRegistration:
			l.fail(err) // two that take the id from each other would never serve
		}
		return
	}
	l.self.failed.Store(0)
	if answer.Confirmed && !answer.Fenced && h.Epoch == l.BrokerEpoch() {
		l.self.extend(sent.Add(l.opts.Lease - l.opts.Lease/leaseMargin - max(answer.Unsure, 0)))
	}
}

// pulse asks whoever decides, this node or another.
func (l *Loop) pulse(ctx context.Context, h heartbeat) (answer pulse, err error) {
	if _, here := l.decides(); here {
		return l.heartbeat(h)
	}
	to := l.decider(int(l.self.failed.Load()))
	if to == kafka.NoBroker {
		return pulse{}, errElsewhere
	}
	body, err := encode(h)
	if err != nil {
		return pulse{}, err
	}
	b, err := l.call(ctx, to, methodHeartbeat, true, body)
	if err != nil {
		return pulse{}, err
	}
	return answer, decode(b, &answer)
}

// extend has the lease end then, if it would end before.
func (m *membership) extend(end time.Time) {
	until := int64(end.Sub(m.base))
	for was := m.lease.Load(); was < until && !m.lease.CompareAndSwap(was, until); was = m.lease.Load() {
	}
}

// registerAnew registers once more, because the controller does not know this registration: unless that is under way, or the broker leaves.
func (l *Loop) registerAnew() {
	l.self.mu.Lock()
	begin := !l.self.registering && !l.self.stopping
	l.self.registering = l.self.registering || begin
	l.self.mu.Unlock()
	if !begin {
		return
	}
	l.wg.Go(func() {
		if err := l.register(l.ctx); err != nil && l.ctx.Err() == nil {
			l.opts.Logger.Error("this broker lost its registration and is refused a new one", "broker", l.opts.Node, "err", err)
		}
		l.self.mu.Lock()
		l.self.registering = false
		l.self.mu.Unlock()
	})
}

// serveHeartbeat is the method by which other brokers say that they live.
func (l *Loop) serveHeartbeat(_ context.Context, from peer.Caller, body []byte) ([]byte, error) {
	var h heartbeat
	if err := decode(body, &h); err != nil {
		return nil, err
	}
	if from.Node >= 0 && from.Node != h.Node {
		return nil, kafka.Errorf(kafka.InvalidRequest, "broker %d sends a heartbeat of broker %d", from.Node, h.Node)
	}
	answer, err := l.heartbeat(h)
	if err != nil {
		return nil, err
	}
	return encode(answer)
}

// heartbeat notes a heartbeat, if this node decides.
func (l *Loop) heartbeat(h heartbeat) (pulse, error) {
	if _, ok := l.decides(); !ok {
		return pulse{}, explain(errElsewhere)
	}
	img := l.Image()
	b := img.Brokers[h.Node]
	switch {
	case b == nil:
		return pulse{}, kafka.Errorf(kafka.BrokerIDNotRegistered, "Broker ID %d is not currently registered", h.Node)
	case b.Incarnation != h.Incarnation && !b.Incarnation.IsZero() && !h.Incarnation.IsZero():
		return pulse{}, kafka.Errorf(kafka.DuplicateBrokerRegistration, "another process is broker %d now; if this one runs on a copy of its data directory, give it one of its own", h.Node)
	case b.Epoch != h.Epoch:
		return pulse{}, kafka.Errorf(kafka.StaleBrokerEpoch, "Expected broker epoch %d, but got broker epoch %d", b.Epoch, h.Epoch)
	}
	l.leases.report(b, h.Loads, l.opts.Now(), img)
	l.leases.understands(b, h.Features, l.opts.Now(), img)
	unsure, ready := l.leases.heard(b, h.Offset, l.opts.Now(), img)
	if ready {
		l.keeper.wake()
	}
	return pulse{Fenced: b.Fenced, Confirmed: unsure <= l.opts.Lease/leaseConfirmed, Unsure: unsure}, nil
}
