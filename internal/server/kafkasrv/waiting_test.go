package kafkasrv

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// waiting is a broker in which every JoinGroup waits until go is closed or its context ends, which it then says.
func waiting() (b *fakeBroker, began chan *kmsg.JoinGroupRequest, over chan struct{}) {
	b = newFakeBroker("orders")
	began, over = make(chan *kmsg.JoinGroupRequest, 1000), make(chan struct{})
	b.say = func(ctx context.Context, _ *broker.Session, q kmsg.Request) kmsg.Response {
		join, ok := q.(*kmsg.JoinGroupRequest)
		if !ok {
			return nil
		}
		began <- join
		a := kmsg.NewPtrJoinGroupResponse()
		select {
		case <-over:
			a.Members = []kmsg.JoinGroupResponseMember{{MemberID: "m", ProtocolMetadata: join.Protocols[0].Metadata}}
		case <-ctx.Done():
			a.ErrorCode = int16(kafka.CoordinatorNotAvailable)
		}
		return a
	}
	return b, began, over
}

func joinWith(metadata []byte) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version = 9
	q.Group, q.ProtocolType, q.Protocols = "g", "consumer", []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: metadata}}
	return q
}

// A member that waits for its group holds neither a frame nor the gate, however much it has said of itself, and what it has said stays as it
// was while others use the frame. (SRV-2, WIR-3)
func TestWaitingMembersHoldNothing(t *testing.T) {
	b, began, over := waiting()
	d := open(t, b, Options{FrameBytes: 4 << 20, MaxFrame: 1 << 20, AnswerBytes: 1 << 20})
	const members = 30
	var all []*client
	for i := range members {
		c := d.dial(t)
		c.send(joinWith(bytes.Repeat([]byte{byte(i)}, 200<<10)))
		<-began
		all = append(all, c)
	}
	if st := d.Stats(); st.Frames.Used() != 0 || st.Answers.Used != 0 {
		t.Errorf("%d bytes of frames and %d of answers are held by who waits", st.Frames.Used(), st.Answers.Used)
	}
	other := d.dial(t)
	for range 20 {
		other.ask(produceTo("orders", -1, batch(300<<10)))
	}
	close(over)
	for i, c := range all {
		a := c.receive(joinWith(nil), 1).(*kmsg.JoinGroupResponse)
		if got := a.Members[0].ProtocolMetadata; !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 200<<10)) {
			t.Errorf("member %d: its metadata have changed", i)
		}
	}
}

// A drain does not wait for a group to rebalance: who waits is told to look for its coordinator again. Requests behind it are answered too.
func TestDrainEndsTheWaitForAGroup(t *testing.T) {
	b, began, _ := waiting()
	d := open(t, b, Options{})
	c := d.dial(t)
	c.send(joinWith(nil))
	<-began
	heartbeat := kmsg.NewPtrHeartbeatRequest()
	c.send(heartbeat)
	for d.appendConns(nil)[0].queue.busy() != 2 {
		runtime.Gosched()
	}
	d.drain()
	if a := c.receive(joinWith(nil), 1).(*kmsg.JoinGroupResponse); a.ErrorCode != int16(kafka.CoordinatorNotAvailable) {
		t.Errorf("%+v", a)
	}
	c.receive(heartbeat, 2)
	if got := c.ended(); len(got) != 0 {
		t.Errorf("%x", got)
	}
}

// Clients that vanish while they wait for their group leave nothing behind. Whoever sends on and on meanwhile is sent away, because a full
// queue would hide that.
func TestVanishedMembersAreForgotten(t *testing.T) {
	b, began, _ := waiting()
	d := open(t, b, Options{})
	for i := range 20 {
		c := d.dial(t)
		c.send(joinWith(nil))
		for range i {
			c.send(kmsg.NewPtrHeartbeatRequest())
		}
		<-began
		_ = c.nc.Close()
	}
	flood := d.dial(t)
	flood.send(joinWith(nil))
	for range maxQueued {
		if _, err := flood.nc.Write(frame(kmsg.NewPtrHeartbeatRequest(), 2)); err != nil {
			break
		}
	}
	flood.ended()
	for d.Stats().Open != 0 {
		runtime.Gosched()
	}
	if st := d.Stats(); st.Closed["flood"] != 1 || st.Closed["client"] != 20 {
		t.Errorf("%v", st.Closed)
	}
}

// Close does not wait either.
func TestCloseEndsTheWaitForAGroup(t *testing.T) {
	b, began, _ := waiting()
	d := open(t, b, Options{})
	c := d.dial(t)
	c.send(joinWith(nil))
	<-began
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if got := c.ended(); len(got) != 0 {
		t.Errorf("an answer that was cut short came: %x", got)
	}
}

// connections.max.idle.ms is for who asks nothing: a member may wait for its group longer than that.
func TestWaitingForAGroupIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began, over := waiting()
		s := New(b, Options{NodeID: 1, IdleTimeout: time.Minute})
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Serve(context.Background(), there)
		}()
		c := &client{t: t, nc: here}
		c.send(joinWith(nil))
		<-began
		begin := time.Now()
		time.AfterFunc(time.Hour, func() { close(over) })
		if a := c.receive(joinWith(nil), 1).(*kmsg.JoinGroupResponse); a.ErrorCode != 0 || time.Since(begin) < time.Hour {
			t.Errorf("%+v after %v", a, time.Since(begin))
		}
		<-done // and then it is idle
		if got := time.Since(begin); got > time.Hour+2*time.Minute {
			t.Errorf("closed after %v", got)
		}
		_ = here.Close()
		_ = s.Close()
	})
}
