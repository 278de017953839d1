package grpcsrv

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// consume takes n messages of a topic for a group and returns the payloads and the last id.
func consume(t *testing.T, c rafkapb.BrokerServiceClient, group string, n int) (payloads, last string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := c.Consume(ctx, &rafkapb.ConsumeRequest{Id: "c", Topic: "t", GroupId: group})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		payloads, last = payloads+m.GetPayload(), m.GetMessageId()
	}
	return payloads, last
}

// What is acknowledged is not delivered again; what is not is. An older message changes nothing, and groups are apart. (RPC-4)
func TestConsumeGoesOnAfterWhatWasAcknowledged(t *testing.T) {
	_, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	publish(t, c, "t", "0", "1", "2", "3", "4")
	got, last := consume(t, c, "g", 3)
	if got != "012" {
		t.Fatal(got)
	}
	if got, _ := consume(t, c, "g", 2); got != "01" {
		t.Errorf("nothing was acknowledged, but the group goes on at %s", got)
	}
	for _, id := range []string{last, "t-0-0", last} {
		if r, err := c.Acknowledge(t.Context(), &rafkapb.AcknowledgeRequest{ConsumerId: "c", MessageId: id, Topic: "t", GroupId: "g"}); err != nil || !r.GetSuccess() {
			t.Fatal(r, err)
		}
		if got, _ := consume(t, c, "g", 2); got != "34" {
			t.Errorf("after %s the group goes on at %s", id, got)
		}
	}
	if got, _ := consume(t, c, "other", 2); got != "01" {
		t.Errorf("another group goes on at %s", got)
	}
	if _, err := c.Acknowledge(t.Context(), &rafkapb.AcknowledgeRequest{ConsumerId: "alone", MessageId: "t-0-3"}); err != nil {
		t.Fatal(err)
	}
	if got, _ := consume(t, c, "alone", 1); got != "4" {
		t.Errorf("a consumer without a group goes on at %s", got)
	}
}

// UpdateOffset goes wherever it is told, also to where the log does not reach any more. (RPC-4)
func TestUpdateOffsetSaysWhereToGoOn(t *testing.T) {
	b, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	publish(t, c, "t", "0", "1", "2", "3", "4")
	if _, err := c.Subscribe(t.Context(), &rafkapb.SubscribeRequest{ConsumerId: "subscriber", Topic: "t"}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		offset int64
		want   string
	}{{4, "4"}, {1, "1"}, {2, "2"}, {900, "0"}} {
		if r, err := c.UpdateOffset(t.Context(), &rafkapb.UpdateOffsetRequest{ConsumerId: "subscriber", GroupId: "g", Offset: step.offset}); err != nil || !r.GetSuccess() {
			t.Fatal(r, err)
		}
		if got, _ := consume(t, c, "g", 1); got != step.want {
			t.Errorf("after offset %d the group goes on at %s", step.offset, got)
		}
	}
	if _, err := c.UpdateOffset(t.Context(), &rafkapb.UpdateOffsetRequest{GroupId: "g", Topic: "t", Offset: 1}); err != nil {
		t.Fatal(err)
	}
	b.Trim("t", 0, 3)
	if got, _ := consume(t, c, "g", 1); got != "3" {
		t.Errorf("retention has taken the group's offset, and it goes on at %s", got)
	}
	stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Topic: "t", GroupId: "g", Offset: proto.Int64(4)})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetPayload() != "4" {
		t.Errorf("the offset asked for counts, not the group's: %v %v", m, err)
	}
}

// Offsets that make no sense are refused with what to do.
func TestBadCommitsAreRefused(t *testing.T) {
	b, _, conn := start(t, Options{})
	b.Partitions = 3
	c := rafkapb.NewBrokerServiceClient(conn)
	publish(t, c, "t", "x")
	for _, q := range []struct {
		req  *rafkapb.UpdateOffsetRequest
		code codes.Code
		text string
	}{
		{&rafkapb.UpdateOffsetRequest{Topic: "t"}, codes.InvalidArgument, "group_id"},
		{&rafkapb.UpdateOffsetRequest{ConsumerId: "c"}, codes.InvalidArgument, "name a topic"},
		{&rafkapb.UpdateOffsetRequest{ConsumerId: "c", Topic: "t"}, codes.InvalidArgument, "3 partitions"},
		{&rafkapb.UpdateOffsetRequest{ConsumerId: "c", Topic: "t", Partition: proto.Int32(0), Offset: -1}, codes.InvalidArgument, "next message"},
		{&rafkapb.UpdateOffsetRequest{ConsumerId: "c", Topic: "t", Partition: proto.Int32(3)}, codes.NotFound, "UNKNOWN_TOPIC_OR_PARTITION"},
		{&rafkapb.UpdateOffsetRequest{ConsumerId: "c", Topic: "gone"}, codes.NotFound, "UNKNOWN_TOPIC_OR_PARTITION"},
	} {
		if _, err := c.UpdateOffset(t.Context(), q.req); status.Code(err) != q.code || !strings.Contains(err.Error(), q.text) {
			t.Errorf("%v: %v", q.req, err)
		}
	}
	for _, id := range []string{"", "t", "t-0", "t-0-", "t-x-1", "-0-1", "t-0--1", "t-0-99999999999999999999", "t-4294967296-1"} {
		if _, err := c.Acknowledge(t.Context(), &rafkapb.AcknowledgeRequest{ConsumerId: "c", MessageId: id}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("message id %q: %v", id, err)
		}
	}
	if _, err := c.Acknowledge(t.Context(), &rafkapb.AcknowledgeRequest{ConsumerId: "c", MessageId: "t-0-1", Topic: "u"}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}

// member is one that has joined and synced.
type member struct {
	c        rafkapb.BrokerServiceClient
	id       string
	gen      int32
	leads    bool
	assigned string
}

func join(ctx context.Context, c rafkapb.BrokerServiceClient, group, client, id string) (m member, err error) {
	j, err := c.JoinGroup(ctx, &rafkapb.JoinGroupRequest{GroupId: group, MemberId: id, ClientId: client, ProtocolType: "consumer", Topics: []string{"t"}})
	if err != nil {
		return m, err
	}
	if j.GetProtocolName() != "range" || !j.GetSuccess() || (j.GetLeaderId() == j.GetMemberId()) != (len(j.GetMembers()) > 0) {
		return m, fmt.Errorf("joined as %v", j)
	}
	return member{c: c, id: j.GetMemberId(), gen: j.GetGenerationId(), leads: j.GetLeaderId() == j.GetMemberId()}, nil
}

func (m *member) sync(ctx context.Context, group string) error {
	s, err := m.c.SyncGroup(ctx, &rafkapb.SyncGroupRequest{GroupId: group, MemberId: m.id, GenerationId: m.gen})
	if err != nil {
		return err
	}
	m.assigned = ""
	for _, a := range s.GetAssigned() {
		m.assigned += fmt.Sprint(a.GetTopic(), a.GetPartitions())
	}
	return nil
}

// Two members share a topic in ranges without bringing an assignment; the first learns of the second by its heartbeat, and its stream ends.
// Who is a member reads what it was assigned, and commits as a member; who is not may not. (RPC-5)
func TestMembersShareATopic(t *testing.T) {
	b, _, conn := start(t, Options{})
	b.Partitions = 3
	c := rafkapb.NewBrokerServiceClient(conn)
	for p := range int32(3) {
		if _, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "t", Payload: fmt.Sprint(p), Partition: proto.Int32(p)}); err != nil {
			t.Fatal(err)
		}
	}
	one, err := join(t.Context(), c, "g", "one", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := one.sync(t.Context(), "g"); err != nil || one.assigned != "t[0 1 2]" || !one.leads {
		t.Fatal(one, err)
	}
	beat := func(m member) (int32, error) {
		r, err := c.Heartbeat(t.Context(), &rafkapb.HeartbeatRequest{GroupId: "g", MemberId: m.id, GenerationId: m.gen})
		return r.GetErrorCode(), err
	}
	if code, err := beat(one); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Id: "one", Topic: "t", GroupId: "g"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Acknowledge(t.Context(), &rafkapb.AcknowledgeRequest{ConsumerId: "stranger", MessageId: "t-0-0", GroupId: "g"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "join it") {
		t.Errorf("a stranger commits for a group with members: %v", err)
	}
	for _, who := range []string{"one", one.id} {
		if _, err := c.Acknowledge(t.Context(), &rafkapb.AcknowledgeRequest{ConsumerId: who, MessageId: "t-0-0", GroupId: "g"}); err != nil {
			t.Errorf("as %s: %v", who, err)
		}
	}

	second := make(chan member)
	go func() {
		two, err := join(t.Context(), c, "g", "two", "")
		if err != nil {
			t.Error(err)
		}
		second <- two
	}()
	for {
		code, err := beat(one)
		if err != nil {
			t.Fatal(err)
		}
		if code == 1 {
			break
		}
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "JoinGroup") {
		t.Errorf("the stream of the last generation: %v", err)
	}
	if one, err = join(t.Context(), c, "g", "one", one.id); err != nil {
		t.Fatal(err)
	}
	two := <-second
	if one.gen != two.gen || one.leads == two.leads {
		t.Fatal(one, two)
	}
	members := []*member{&one, &two}
	done := make(chan error, 2)
	for _, m := range members {
		go func() { done <- m.sync(t.Context(), "g") }()
	}
	for range members {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(members, func(a, b *member) int { return strings.Compare(a.id, b.id) })
	if members[0].assigned != "t[0 1]" || members[1].assigned != "t[2]" {
		t.Errorf("%s %s", members[0].assigned, members[1].assigned)
	}
	for _, m := range members {
		stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Id: m.id, Topic: "t", GroupId: "g", StopAtEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		for {
			r, err := stream.Recv()
			if err != nil {
				break
			}
			if !strings.Contains(m.assigned, fmt.Sprint(r.GetPartition())) || r.GetMessageId() == "t-0-0" {
				t.Errorf("%v, assigned is %s", r, m.assigned)
			}
		}
	}
	old := one
	old.gen--
	if _, err := beat(old); status.Code(err) != codes.Aborted {
		t.Errorf("a heartbeat of the last generation: %v", err)
	}
	old.id = "nobody"
	if _, err := beat(old); status.Code(err) != codes.NotFound {
		t.Errorf("a heartbeat of nobody: %v", err)
	}
}

// A leader's own assignment reaches the members byte for byte, whatever its format.
func TestLeadersMayAssign(t *testing.T) {
	_, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	m, err := join(t.Context(), c, "g", "", "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.SyncGroup(t.Context(), &rafkapb.SyncGroupRequest{GroupId: "g", MemberId: m.id, GenerationId: m.gen, GroupAssignment: map[string][]byte{m.id: {1, 2, 3}}})
	if err != nil || string(r.GetAssignment()) != "\x01\x02\x03" || len(r.GetAssigned()) != 0 {
		t.Error(r, err)
	}
}

// A member that waits for its group does not hold up a shutdown, nor outlives its caller.
func TestWaitingMembersEnd(t *testing.T) {
	_, s, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	one, err := join(t.Context(), c, "g", "one", "")
	if err != nil {
		t.Fatal(err)
	}
	rebalancing := func() bool {
		r, err := c.Heartbeat(t.Context(), &rafkapb.HeartbeatRequest{GroupId: "g", MemberId: one.id, GenerationId: one.gen})
		return err == nil && r.GetErrorCode() == 1
	}
	if err := one.sync(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { _, err := join(ctx, c, "g", "impatient", ""); ended <- err }()
	go func() { _, err := join(t.Context(), c, "g", "patient", ""); ended <- err }()
	for !rebalancing() {
	}
	cancel()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
	s.Shutdown(context.Background())
	if err := <-ended; status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestGroupsAreAskedForProperly(t *testing.T) {
	_, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	for _, q := range []*rafkapb.JoinGroupRequest{{Topics: []string{"t"}}, {GroupId: "g"}, {GroupId: "g", Topics: []string{"t"}, SessionTimeoutMs: proto.Int32(1)}} {
		if _, err := c.JoinGroup(t.Context(), q); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", q, err)
		}
	}
	if _, err := c.SyncGroup(t.Context(), &rafkapb.SyncGroupRequest{GroupId: "g"}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	if _, err := c.SyncGroup(t.Context(), &rafkapb.SyncGroupRequest{GroupId: "g", MemberId: "x"}); status.Code(err) == codes.OK {
		t.Error("somebody synced who is no member")
	}
}

// More members than one connection may have are refused, and those that are there stay.
func TestMembersOfAConnectionAreBounded(t *testing.T) {
	c := &connection{}
	for i := range maxRegistered {
		if !c.join(&membership{group: "g", id: fmt.Sprint(i)}) {
			t.Fatalf("member %d was refused", i)
		}
	}
	if c.join(&membership{group: "g", id: "one too many"}) || !c.join(&membership{group: "g", id: "7"}) {
		t.Error("the limit is not where it should be")
	}
	if m := c.member("g", "0"); m == nil || m.over.Err() != nil {
		t.Error("a member is gone")
	}
	c.leave("g", "0")
	if c.member("g", "0") != nil || !c.join(&membership{group: "g", id: "another"}) {
		t.Error("who leaves makes no room")
	}
}

// Ranges are Kafka's: by topic, in the order of member ids, the first ones longer.
func TestRangesAreDealtOutEvenly(t *testing.T) {
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{
		&metadata.TopicRecord{ID: [16]byte{1}, Name: "a", Partitions: []metadata.PartitionRun{{Count: 5}}},
		&metadata.TopicRecord{ID: [16]byte{2}, Name: "b", Partitions: []metadata.PartitionRun{{Count: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	dealt := dealOut(img, []*rafkapb.GroupMember{
		{MemberId: "z", Topics: []string{"a"}},
		{MemberId: "y", Topics: []string{"b", "a", "a"}},
		{MemberId: "x", Topics: []string{"b", "nowhere"}},
		{MemberId: "w"},
	})
	for id, want := range map[string]string{"z": "[{a [3 4]}]", "y": "[{a [0 1 2]}]", "x": "[{b [0]}]", "w": "[]"} {
		a := kmsg.NewConsumerMemberAssignment()
		if err := a.ReadFrom(dealt[id]); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(a.Topics); got != want {
			t.Errorf("%s gets %s, want %s", id, got, want)
		}
	}
}
