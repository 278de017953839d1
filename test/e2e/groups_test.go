package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rafka-io/rafka"
	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// atOnce makes the first member of a group not wait for others.
var atOnce = setting("group.initial.rebalance.delay.ms", "0")

// owners is who has which partition of a topic, as the members' callbacks tell.
type owners struct {
	mu     sync.Mutex
	of     map[int32]string
	twice  []string // partitions that were given to one while another had them
	gained map[string]int
}

func newOwners() *owners { return &owners{of: map[int32]string{}, gained: map[string]int{}} }

func (o *owners) gain(who string, partitions []int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range partitions {
		if other, taken := o.of[p]; taken {
			o.twice = append(o.twice, fmt.Sprintf("%d: %s while %s", p, who, other))
		}
		o.of[p] = who
		o.gained[who]++
	}
}

func (o *owners) lose(who string, partitions []int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range partitions {
		if o.of[p] == who {
			delete(o.of, p)
		}
	}
}

// shares are how many partitions each owner has, sorted.
func (o *owners) shares() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := map[string]int{}
	for _, who := range o.of {
		n[who]++
	}
	return fmt.Sprint(slices.Sorted(maps.Values(n)))
}

// member joins a group that consumes topic and polls until its test ends or leave is called. What it reads goes to got, if that is not nil.
func (o *owners) member(t *testing.T, b *rafkatest.Broker, group, topic, who string, got func(*kgo.Record), opts ...kgo.Opt) (leave func()) {
	t.Helper()
	cl := client(t, b, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(), kgo.ClientID(who),
		kgo.HeartbeatInterval(100_000_000), // 100 ms, to notice a rebalance
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.gain(who, m[topic]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.lose(who, m[topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.lose(who, m[topic]) }),
	}, opts...)...)
	ctx, cancel := context.WithCancel(t.Context())
	var polling sync.WaitGroup
	polling.Go(func() {
		for ctx.Err() == nil {
			fetches := cl.PollFetches(ctx)
			if got != nil {
				fetches.EachRecord(got)
			}
			fetches.EachError(func(_ string, p int32, err error) {
				if ctx.Err() == nil {
					t.Errorf("%s reads partition %d: %v", who, p, err)
				}
			})
		}
	})
	var once sync.Once
	leave = func() { once.Do(func() { cancel(); polling.Wait(); cl.Close() }) }
	t.Cleanup(leave)
	return leave
}

// Members come and go; the partitions are shared evenly each time, each has one owner at most, and every record is read. (GRP-1)
func TestGroupsShareTheirTopic(t *testing.T) {
	for _, kind := range []struct {
		name string
		opts []kgo.Opt
	}{
		{"cooperative", nil},
		{"eager", []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())}},
		{"consumer protocol", []kgo.Opt{kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			b := rafkatest.StartOnDisk(t, atOnce)
			const partitions, records = 6, 300
			create(t, b, "orders", partitions)
			cl := client(t, b, kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			for i := range records {
				produce(t, cl, &kgo.Record{Partition: int32(i % partitions), Value: []byte(strconv.Itoa(i))})
			}
			o := newOwners()
			var mu sync.Mutex
			seen := map[string]bool{}
			got := func(r *kgo.Record) {
				mu.Lock()
				defer mu.Unlock()
				seen[string(r.Value)] = true
			}
			o.member(t, b, "g", "orders", "one", got, kind.opts...)
			eventually(t, "one member has everything", func() bool { return o.shares() == "[6]" })
			two := o.member(t, b, "g", "orders", "two", got, kind.opts...)
			eventually(t, "two members share", func() bool { return o.shares() == "[3 3]" })
			o.member(t, b, "g", "orders", "three", got, kind.opts...)
			eventually(t, "three members share", func() bool { return o.shares() == "[2 2 2]" })
			two()
			eventually(t, "two are left", func() bool { return o.shares() == "[3 3]" })
			eventually(t, "every record was read", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(seen) == records
			})
			o.mu.Lock()
			defer o.mu.Unlock()
			if len(o.twice) != 0 {
				t.Errorf("partitions had two owners: %v", o.twice)
			}
		})
	}
}

// A static member that comes back within its session takes up where it was: nobody else notices.
func TestStaticMembersKeepWhatTheyHave(t *testing.T) {
	b := rafkatest.StartOnDisk(t, atOnce)
	create(t, b, "orders", 4)
	o := newOwners()
	o.member(t, b, "g", "orders", "one", nil, kgo.InstanceID("i-1"))
	two := o.member(t, b, "g", "orders", "two", nil, kgo.InstanceID("i-2"))
	eventually(t, "two members share", func() bool { return o.shares() == "[2 2]" })
	adm := admin(t, b)
	describe := func() kadm.DescribedGroup {
		groups, err := adm.DescribeGroups(within(t), "g")
		if err != nil || groups.Error() != nil {
			t.Fatal(err, groups.Error())
		}
		return groups["g"]
	}
	stable := func() bool { return describe().State == "Stable" }
	eventually(t, "the group is stable", stable)
	before := describe()
	o.mu.Lock()
	gained := o.gained["one"]
	o.mu.Unlock()

	two() // static members do not leave
	o.lose("two", []int32{0, 1, 2, 3})
	if now := describe(); now.State != "Stable" || len(now.Members) != 2 {
		t.Fatalf("%s with %d members after one has stopped", now.State, len(now.Members))
	}
	o.member(t, b, "g", "orders", "two", nil, kgo.InstanceID("i-2"))
	eventually(t, "it is back", func() bool { return o.shares() == "[2 2]" })
	eventually(t, "the group is stable", stable)
	after := describe()
	for _, m := range after.Members {
		for _, was := range before.Members {
			if m.InstanceID == nil || was.InstanceID == nil {
				t.Fatal("a member has lost its instance id")
			}
			had, _ := was.Assigned.AsConsumer()
			has, ok := m.Assigned.AsConsumer()
			if *m.InstanceID == *was.InstanceID && (!ok || fmt.Sprint(has.Topics) != fmt.Sprint(had.Topics)) {
				t.Errorf("%s had %v, has %v", *m.InstanceID, had, has)
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gained["one"] != gained {
		t.Error("the other member was given partitions meanwhile")
	}
}

// What a group has committed is there after a restart, and the group goes on behind it. (COR-3)
func TestCommittedOffsetsSurviveARestart(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	b := rafkatest.StartOnDisk(t, dir, atOnce)
	create(t, b, "orders", 1)
	cl := client(t, b, kgo.DefaultProduceTopic("orders"))
	for i := range 20 {
		produce(t, cl, &kgo.Record{Value: []byte(strconv.Itoa(i))})
	}
	reader := client(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	records := poll(t, reader, 20)
	if err := reader.CommitRecords(within(t), records[11]); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	cl.Close()
	stop(t, b)

	b = rafkatest.StartOnDisk(t, dir, atOnce)
	offsets, err := admin(t, b).FetchOffsets(within(t), "g")
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := offsets.Lookup("orders", 0); !ok || at.At != 12 {
		t.Fatalf("committed is %+v", at)
	}
	again := poll(t, client(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit()), 8)
	if first := string(again[0].Value); first != "12" {
		t.Errorf("the group goes on at %s", first)
	}
}

// The administrator's verbs, with Kafka's errors for what cannot be.
func TestGroupAdministration(t *testing.T) {
	b := rafkatest.StartOnDisk(t, atOnce)
	create(t, b, "orders", 2)
	create(t, b, "bills", 1)
	adm := admin(t, b)
	produce(t, client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner())), &kgo.Record{Topic: "orders", Value: []byte("x")}, &kgo.Record{Topic: "bills", Value: []byte("y")})
	if groups, err := adm.ListGroups(within(t)); err != nil || len(groups) != 0 {
		t.Errorf("groups before there are any: %v, %v", groups, err)
	}
	commit := kadm.Offsets{}
	commit.AddOffset("orders", 0, 1, -1)
	commit.AddOffset("orders", 1, 0, -1)
	commit.AddOffset("bills", 0, 1, -1)
	commit.AddOffset("bills", 7, 1, -1)
	commit.AddOffset("nowhere", 0, 1, -1)
	done, err := adm.CommitOffsets(within(t), "idle", commit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		topic     string
		partition int32
		err       error
	}{{"orders", 0, nil}, {"orders", 1, nil}, {"bills", 0, nil}, {"bills", 7, kerr.UnknownTopicOrPartition}, {"nowhere", 0, kerr.UnknownTopicOrPartition}} {
		if at, _ := done.Lookup(want.topic, want.partition); !errors.Is(at.Err, want.err) {
			t.Errorf("commit of %s-%d: %v", want.topic, want.partition, at.Err)
		}
	}
	newOwners().member(t, b, "busy", "orders", "one", nil)
	eventually(t, "both groups are listed", func() bool {
		groups, err := adm.ListGroups(within(t))
		return err == nil && groups["busy"].State == "Stable" && groups["idle"].State == "Empty" && len(groups) == 2
	})
	groups, err := adm.DescribeGroups(within(t), "busy", "idle", "none")
	if err != nil {
		t.Fatal(err)
	}
	if g := groups["busy"]; g.Err != nil || len(g.Members) != 1 || g.Members[0].ClientID != "one" || g.Members[0].ClientHost != "/127.0.0.1" || g.Protocol != "cooperative-sticky" {
		t.Errorf("%+v", g)
	}
	if g := groups["idle"]; g.Err != nil || g.State != "Empty" || len(g.Members) != 0 {
		t.Errorf("%+v", g)
	}
	if g := groups["none"]; g.State != "Dead" || g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
		t.Errorf("%+v", g)
	}
	lags, err := adm.Lag(within(t), "idle")
	if err != nil || lags["idle"].Lag.Total() != 0 {
		t.Errorf("%+v %v", lags["idle"].Lag, err)
	}
	gone := kadm.TopicsSet{}
	gone.Add("orders", 0)
	deleted, err := adm.DeleteOffsets(within(t), "idle", gone)
	if err != nil || deleted.Error() != nil {
		t.Errorf("%v %v", deleted, err)
	}
	offsets, err := adm.FetchOffsets(within(t), "idle")
	if err != nil || len(offsets) != 2 || len(offsets["orders"]) != 1 {
		t.Errorf("%+v %v", offsets, err)
	}
	removed, err := adm.DeleteGroups(within(t), "idle", "busy", "none")
	if err != nil {
		t.Fatal(err)
	}
	if removed["idle"].Err != nil || !errors.Is(removed["busy"].Err, kerr.NonEmptyGroup) || !errors.Is(removed["none"].Err, kerr.GroupIDNotFound) {
		t.Errorf("%+v", removed)
	}
	if groups, err := adm.ListGroups(within(t)); err != nil || len(groups) != 1 {
		t.Errorf("%v, %v", groups, err)
	}
}

// What a gRPC client acknowledges a Kafka client finds committed, and it survives a restart. (RPC-4)
func TestAcknowledgeIsDurable(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	start := func() (*rafkatest.Broker, rafkapb.BrokerServiceClient) {
		b := rafkatest.StartOnDisk(t, dir, rafka.WithGRPCAddr("127.0.0.1:0"))
		conn, err := grpc.NewClient(b.Server.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return b, rafkapb.NewBrokerServiceClient(conn)
	}
	b, rpc := start()
	for i := range 5 {
		if _, err := rpc.Publish(within(t), &rafkapb.PublishRequest{Topic: "greetings", Payload: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rpc.Acknowledge(within(t), &rafkapb.AcknowledgeRequest{ConsumerId: "c", GroupId: "g", MessageId: "greetings-0-2"}); err != nil {
		t.Fatal(err)
	}
	stop(t, b)
	b, rpc = start()
	offsets, err := admin(t, b).FetchOffsets(within(t), "g")
	if at, _ := offsets.Lookup("greetings", 0); err != nil || at.At != 3 {
		t.Errorf("committed is %+v, error %v", at, err)
	}
	stream, err := rpc.Consume(within(t), &rafkapb.ConsumeRequest{Topic: "greetings", GroupId: "g"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetPayload() != "3" {
		t.Errorf("goes on at %v, error %v", m, err)
	}
}

// A stop does not wait for members: they are let go at once, whatever they wait for.
func TestStopLetsMembersGo(t *testing.T) {
	b := rafkatest.StartOnDisk(t, setting("group.initial.rebalance.delay.ms", "3600000"))
	create(t, b, "orders", 1)
	for range 3 {
		cl := client(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"))
		go cl.PollFetches(t.Context()) // ends with the client
	}
	adm := admin(t, b)
	eventually(t, "members wait for the group to begin", func() bool {
		groups, err := adm.DescribeGroups(within(t), "g")
		return err == nil && groups["g"].State == "PreparingRebalance"
	})
	stop(t, b)
}
