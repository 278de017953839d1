package group

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/coordtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/timeline"
)

// world is one shard, single-stepped, with two topics and settings that a test may change.
type world struct {
	*coordtest.Harness[*Shard]
	t       testing.TB
	cfg     config.GroupConfig
	broken  bool   // appends fail
	lastErr error  // of the last operation
	alive   string // member that pass keeps alive
	out     strings.Builder
}

var errNoAppend = errors.New("the log cannot be written")

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, cfg: config.GroupConfig{
			InitialRebalanceDelay: 3 * time.Second, MinSessionTimeout: 6 * time.Second, MaxSessionTimeout: 30 * time.Minute, MaxSize: 1000,
			OffsetRetention: 7 * 24 * time.Hour, MaxOffsetMetadata: 4096,
		},
	}
	env := Env{Config: func(*metadata.Image, string) config.GroupConfig { return w.cfg }, OffsetCheckInterval: 10 * time.Minute}
	w.Harness = coordtest.New(t, func(reg *timeline.Registry) *Shard { return New(env, reg) })
	w.topic("orders", 3)
	w.topic("bills", 2)
	return w
}

// topic makes a topic and returns its id.
func (w *world) topic(name string, partitions int32) kafka.UUID {
	id := kafka.UUID{0: 7, 15: byte(w.Image.Offset)}
	w.change(&metadata.TopicRecord{ID: id, Name: name, Partitions: []metadata.PartitionRun{{Count: partitions}}})
	return id
}

func (w *world) change(records ...metadata.Record) {
	img, delta, err := metadata.Fold(w.Image, records)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Change(img, delta)
}

// op is one operation.
func (w *world) op(fn func(op *coordinator.Op)) error {
	if w.broken {
		w.FailNext(errNoAppend)
	}
	_, err := w.Do(func(_ *Shard, op *coordinator.Op) { fn(op) })
	w.FailNext(nil)
	w.lastErr = err
	return err
}

func (w *world) view() (view coordinator.View) {
	w.Read(func(_ *Shard, v coordinator.View) { view = v })
	return view
}

// must runs an operation that gives its answer at once.
func must[A any](w *world, fn func(op *coordinator.Op) A) (a A) {
	if err := w.op(func(op *coordinator.Op) { a = fn(op) }); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// settled reports whether a reply has left.
func settled[A any](r *coordinator.Reply[A]) bool {
	select {
	case <-r.Done():
		return true
	default:
		return false
	}
}

func subscription(topics ...string) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = append(b, 0, byte(len(t)))
		b = append(b, t...)
	}
	return append(b, 0xff, 0xff, 0xff, 0xff)
}

func joinRequest(group, member string, protocols ...string) *kmsg.JoinGroupRequest {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Version, r.Group, r.MemberID, r.ProtocolType = 9, group, member, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 10_000, 60_000
	if len(protocols) == 0 {
		protocols = []string{"range"}
	}
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, subscription("orders")
		r.Protocols = append(r.Protocols, p)
	}
	return r
}

func (w *world) join(req *kmsg.JoinGroupRequest) laterJoin {
	later := coordinator.NewReply[*kmsg.JoinGroupResponse]()
	err := w.op(func(op *coordinator.Op) { w.Shard.JoinGroup(op, Client{"app", "/10.0.0.1"}, req, later) })
	if err != nil {
		later.Release(err)
	}
	return later
}

func syncRequest(j *kmsg.JoinGroupResponse, group string) *kmsg.SyncGroupRequest {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Version, r.Group, r.MemberID, r.Generation = 5, group, j.MemberID, j.Generation
	r.ProtocolType, r.Protocol = j.ProtocolType, j.Protocol
	for _, m := range j.Members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = m.MemberID, []byte("for "+m.MemberID)
		r.GroupAssignment = append(r.GroupAssignment, a)
	}
	return r
}

func (w *world) sync(req *kmsg.SyncGroupRequest) laterSync {
	later := coordinator.NewReply[*kmsg.SyncGroupResponse]()
	err := w.op(func(op *coordinator.Op) { w.Shard.SyncGroup(op, Client{"app", "/10.0.0.1"}, req, later) })
	if err != nil {
		later.Release(err)
	}
	return later
}

func (w *world) heartbeat(group, member string, generation int32) kafka.ErrorCode {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation = group, member, generation
	return w.beat(r)
}

func (w *world) beat(r *kmsg.HeartbeatRequest) kafka.ErrorCode {
	return kafka.ErrorCode(must(w, func(op *coordinator.Op) *kmsg.HeartbeatResponse { return w.Shard.Heartbeat(op, Client{}, r) }).ErrorCode)
}

func (w *world) leave(group string, members ...kmsg.LeaveGroupRequestMember) *kmsg.LeaveGroupResponse {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Version, r.Group, r.Members = 5, group, members
	var resp *kmsg.LeaveGroupResponse
	if err := w.op(func(op *coordinator.Op) { resp = w.Shard.LeaveGroup(op, Client{}, r) }); err != nil {
		return nil
	}
	return resp
}

func leaver(id string) kmsg.LeaveGroupRequestMember {
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = id
	return m
}

func commitRequest(group, member string, generation int32, topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Version, r.Group, r.MemberID, r.Generation = 9, group, member, generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch = partition, offset, 4
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r
}

// commit commits one offset and returns the partition's error.
func (w *world) commit(req *kmsg.OffsetCommitRequest) kafka.ErrorCode {
	resp := must(w, func(op *coordinator.Op) *kmsg.OffsetCommitResponse { return w.Shard.OffsetCommit(op, Client{}, req) })
	return kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func (w *world) stage(p coordinator.Producer, group, topic string, partition int32, offset int64) kafka.ErrorCode {
	r := kmsg.NewPtrTxnOffsetCommitRequest()
	r.Version, r.Group, r.ProducerID, r.ProducerEpoch, r.Generation = 5, group, int64(p.ID), int16(p.Epoch), -1
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = topic
	q := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	q.Partition, q.Offset = partition, offset
	t.Partitions = append(t.Partitions, q)
	r.Topics = append(r.Topics, t)
	resp := must(w, func(op *coordinator.Op) *kmsg.TxnOffsetCommitResponse {
		return w.Shard.TxnOffsetCommit(op, Client{}, r)
	})
	return kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// fetch returns the committed offset and the partition's error.
func (w *world) fetch(group, topic string, partition int32, stable bool) (int64, kafka.ErrorCode) {
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	g.Topics = append(g.Topics, t)
	r := w.Shard.OffsetFetch(w.view(), &g, stable)
	p := r.Topics[0].Partitions[0]
	return p.Offset, kafka.ErrorCode(p.ErrorCode)
}

// say adds a line to the transcript, with generated ids made short.
func (w *world) say(format string, args ...any) {
	fmt.Fprintln(&w.out, w.short(fmt.Sprintf(format, args...)))
}

func (w *world) short(s string) string {
	for i := 0; i < 256; i++ {
		s = strings.ReplaceAll(s, uuidText(kafka.UUID{15: byte(i)}), fmt.Sprintf("#%d", i))
	}
	return s
}

// told adds what has been answered and noted since, and where the group is.
func (w *world) told(group string) {
	for line := range strings.Lines(w.Notes()) {
		w.say("    note: %s", strings.TrimPrefix(strings.TrimSpace(line), group+": "))
	}
	d := w.Shard.DescribeGroup(w.view(), group)
	var members []string
	for _, m := range d.Members {
		members = append(members, m.MemberID)
	}
	w.say("    group: %s %s members=%v", d.State, d.Protocol, members)
}

// golden compares the transcript with a file.
func (w *world) golden(path string) {
	w.t.Helper()
	got := w.out.String()
	if os.Getenv("RAFKA_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if got != string(want) {
		w.t.Errorf("not as %s (RAFKA_REWRITE=1 re-records)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// hard describes what must survive a restart: groups with members and assignments, offsets, staged offsets (GRP-6).
func hard(s *Shard) string {
	var b strings.Builder
	for _, name := range s.names() {
		g, ok := named[*classicGroup](s, name)
		if !ok {
			continue
		}
		h := g.head.Get()
		fmt.Fprintf(&b, "group %s gen %d type %q protocol %q leader %q since %d\n", name, h.generation, h.protocolType, text(h.protocol), h.leader, h.since)
		for _, m := range g.sorted() {
			fmt.Fprintf(&b, "  %s %q %v %v %v %q %q\n", m.id, text(m.instance), m.client, m.timeout, m.rebalance, m.metadata(h.protocol), m.assignment)
		}
	}
	b.WriteString(offsetsText(s))
	return b.String()
}

func offsetsText(s *Shard) string {
	var lines []string
	for name, g := range s.byGroup.All() {
		for key, c := range g.committed.All() {
			lines = append(lines, fmt.Sprintf("%s %s-%d = %d %q", name, key.topic, key.partition, c.offset, c.metadata))
		}
		for id, st := range g.open.All() {
			for key, c := range st.offsets.All() {
				lines = append(lines, fmt.Sprintf("%s %s-%d staged by %d = %d", name, key.topic, key.partition, id, c.offset))
			}
		}
		for key, n := range g.staged.All() {
			lines = append(lines, fmt.Sprintf("%s %s-%d staged %d times", name, key.topic, key.partition, n))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// seedOf is the seed of a test, printed.
func seedOf(t *testing.T) uint64 {
	seed := seed.Of(t)
	t.Logf("RAFKA_SEED=%d", seed)
	return seed
}
