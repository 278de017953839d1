package grpcsrv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// An old client sends the old fields and reads the old ones: partition, stored offset, message id, text (RPC-1).
func TestOldClientPublishesAndConsumes(t *testing.T) {
	_, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	if r, err := c.Register(t.Context(), &rafkapb.RegisterRequest{ClientId: "p", ClientType: rafkapb.ClientType_PRODUCER}); err != nil || !r.GetSuccess() {
		t.Fatal(r, err)
	}
	for i := range 3 {
		r, err := c.Publish(t.Context(), &rafkapb.PublishRequest{ProducerId: "p", Topic: "greetings", Key: "k", Payload: fmt.Sprint("hello ", i)})
		if err != nil || !r.GetSuccess() || r.GetPartition() != 0 || r.GetOffset() != int64(i) || r.GetMessageId() != fmt.Sprintf("greetings-0-%d", i) {
			t.Fatal(r, err)
		}
	}
	if r, err := c.Subscribe(t.Context(), &rafkapb.SubscribeRequest{ConsumerId: "c", Topic: "greetings", GroupId: "g"}); err != nil || !r.GetSuccess() {
		t.Fatal(r, err)
	}
	stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Id: "c", GroupId: "g"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if i == 3 { // history is over: now live
			publish(t, c, "greetings", "hello 3")
		}
		m, err := stream.Recv()
		if err != nil || m.GetPayload() != fmt.Sprint("hello ", i) || m.GetOffset() != int64(i) || m.GetTopic() != "greetings" ||
			m.GetMessageId() != fmt.Sprintf("greetings-0-%d", i) || time.Since(time.Unix(m.GetSentAt(), 0)) > time.Hour {
			t.Fatal(m, err)
		}
	}
}

// Bytes, headers and the difference between null and empty survive.
func TestBytesAndHeadersSurvive(t *testing.T) {
	_, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	ms := int64(1700000000123)
	for i, req := range []*rafkapb.PublishRequest{
		{Topic: "t", PayloadBytes: []byte{0xff, 0, 1}, KeyBytes: []byte{}, TimestampMs: &ms, Headers: []*rafkapb.Header{{Key: "a", Value: []byte{0xfe}}, {Key: "b"}}},
		{Topic: "t", KeyBytes: []byte{0xff}, Tombstone: true},
		{Topic: "t", Payload: "text"},
		{Topic: "t"},
	} {
		if r, err := c.Publish(t.Context(), req); err != nil || r.GetOffset() != int64(i) {
			t.Fatal(r, err)
		}
	}
	for _, binary := range []bool{false, true} {
		stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Topic: "t", StopAtEnd: true, Binary: binary})
		if err != nil {
			t.Fatal(err)
		}
		want := []*rafkapb.ConsumeResponse{
			{PayloadBytes: []byte{0xff, 0, 1}, Key: []byte{}, Headers: []*rafkapb.Header{{Key: "a", Value: []byte{0xfe}}, {Key: "b"}}, TimestampMs: ms, SentAt: ms / 1000},
			{Key: []byte{0xff}, Tombstone: true},
			{Payload: "text"},
			{},
		}
		if binary {
			want[2] = &rafkapb.ConsumeResponse{PayloadBytes: []byte("text")}
			want[3] = &rafkapb.ConsumeResponse{PayloadBytes: []byte{}}
		}
		for i, w := range want {
			got, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			w.Topic, w.MessageId, w.Offset = "t", fmt.Sprintf("t-0-%d", i), int64(i)
			if i > 0 {
				w.TimestampMs, w.SentAt = got.GetTimestampMs(), got.GetSentAt()
			}
			if !proto.Equal(got, w) {
				t.Errorf("binary %t: got %v, want %v", binary, got, w)
			}
		}
		if m, err := stream.Recv(); err != io.EOF {
			t.Errorf("after the end: %v, %v", m, err)
		}
	}
}

// Where to start and where to stop.
func TestConsumeStartsAndStopsAsAsked(t *testing.T) {
	b, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	for i := range 10 {
		ms := int64(1000 * (i + 1))
		if _, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "t", Payload: fmt.Sprint(i), TimestampMs: &ms}); err != nil {
			t.Fatal(err)
		}
	}
	b.Trim("t", 0, 2)
	for _, q := range []struct {
		name string
		req  *rafkapb.ConsumeRequest
		want string
		code codes.Code
	}{
		{"everything", &rafkapb.ConsumeRequest{}, "23456789", codes.OK},
		{"from an offset", &rafkapb.ConsumeRequest{Offset: proto.Int64(7)}, "789", codes.OK},
		{"from what retention deleted", &rafkapb.ConsumeRequest{Offset: proto.Int64(0)}, "23456789", codes.OK},
		{"from the oldest", &rafkapb.ConsumeRequest{Offset: proto.Int64(-2)}, "23456789", codes.OK},
		{"from the end", &rafkapb.ConsumeRequest{Offset: proto.Int64(-1)}, "", codes.OK},
		{"from a time", &rafkapb.ConsumeRequest{StartTimestampMs: proto.Int64(8500)}, "89", codes.OK},
		{"from a time to come", &rafkapb.ConsumeRequest{StartTimestampMs: proto.Int64(85000)}, "", codes.OK},
		{"a few", &rafkapb.ConsumeRequest{Limit: 3}, "234", codes.OK},
		{"one partition", &rafkapb.ConsumeRequest{Partition: proto.Int32(0), Limit: 1}, "2", codes.OK},
		{"no such partition", &rafkapb.ConsumeRequest{Partition: proto.Int32(1)}, "", codes.NotFound},
		{"beyond the end", &rafkapb.ConsumeRequest{Offset: proto.Int64(11)}, "", codes.OutOfRange},
		{"nonsense", &rafkapb.ConsumeRequest{Offset: proto.Int64(-3)}, "", codes.OutOfRange},
		{"two starts", &rafkapb.ConsumeRequest{Offset: proto.Int64(1), StartTimestampMs: proto.Int64(1)}, "", codes.InvalidArgument},
	} {
		q.req.Topic, q.req.StopAtEnd = "t", true
		stream, err := c.Consume(t.Context(), q.req)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for {
			m, err := stream.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				if status.Code(err) != q.code {
					t.Errorf("%s: %v, want %s", q.name, err, q.code)
				}
				break
			}
			got += m.GetPayload()
		}
		if got != q.want {
			t.Errorf("%s: got %q, want %q", q.name, got, q.want)
		}
	}
}

// A client that does not take messages holds up its own stream and nothing else, and is not cut off; the broker holds little for it (RPC-2).
func TestSlowConsumerIsNeitherCutOffNorBuffered(t *testing.T) {
	b, s, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	const messages = 300
	payload := bytes.Repeat([]byte{'x'}, 32<<10)
	for range messages {
		if _, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "t", PayloadBytes: payload}); err != nil {
			t.Fatal(err)
		}
	}
	slow, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Topic: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Recv(); err != nil {
		t.Fatal(err)
	}
	quick, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Topic: "t", StopAtEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if _, err := quick.Recv(); err == io.EOF {
			if n != messages {
				t.Errorf("the quick one got %d messages", n)
			}
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if ahead := s.counts.delivered.Load() - messages; ahead > messages/2 {
		t.Errorf("%d messages were sent to who took one", ahead)
	}
	publish(t, c, "t", "last")
	for n := int64(1); n <= messages; n++ {
		m, err := slow.Recv()
		if err != nil || m.GetOffset() != n {
			t.Fatalf("message %d: %v %v", n, m.GetOffset(), err)
		}
	}
	_ = b
}

// A stream goes on through errors that pass and through new partitions; it ends when its topic does (RPC-2).
func TestConsumeGoesOnUntilItsTopicEnds(t *testing.T) {
	b, _, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	publish(t, c, "t", "one")
	stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Topic: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetPayload() != "one" {
		t.Fatal(m, err)
	}
	failures := 0
	b.FailWith(func(verb string, _ kafka.TopicPartition) error {
		if verb == "fetch" && failures < 2 {
			failures++
			return kafka.NotLeaderOrFollower
		}
		return nil
	})
	publish(t, c, "t", "two")
	if m, err := stream.Recv(); err != nil || m.GetPayload() != "two" {
		t.Fatal(m, err)
	}
	b.DeleteTopics(t.Context(), nil, []broker.TopicRef{{Name: "t"}})
	if m, err := stream.Recv(); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "topic t was deleted") {
		t.Fatal(m, err)
	}
}

// The partition of a key is the one Kafka's clients choose, or the first Rafka did, as asked.
func TestPartitionersChooseAsPromised(t *testing.T) {
	b, _, conn := start(t, Options{})
	b.Partitions = 7
	c := rafkapb.NewBrokerServiceClient(conn)
	for _, key := range []string{"a", "customer-17", "ключ"} {
		sum := 0
		for _, x := range []byte(key) {
			sum += int(x)
		}
		for _, want := range []struct {
			by        rafkapb.Partitioner
			partition int32
		}{{rafkapb.Partitioner_PARTITIONER_MURMUR2, broker.ByMurmur2([]byte(key), 7)}, {rafkapb.Partitioner_PARTITIONER_SUM_OF_BYTES, int32(sum % 7)}} {
			r, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "t", Key: key, Partitioner: want.by})
			if err != nil || r.GetPartition() != want.partition {
				t.Errorf("%s by %s: %v %v, want %d", key, want.by, r, err, want.partition)
			}
		}
	}
	if r, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "t", Key: "a", Partition: proto.Int32(5)}); err != nil || r.GetPartition() != 5 {
		t.Errorf("%v %v", r, err)
	}
}

// Each refusal has a code that a program can act on and words for a person.
func TestRefusalsSayWhatToDo(t *testing.T) {
	b, _, conn := start(t, Options{MaxMessageBytes: 1 << 20})
	b.MaxBatchBytes = 1000
	c := rafkapb.NewBrokerServiceClient(conn)
	for _, q := range []struct {
		name string
		req  *rafkapb.PublishRequest
		code codes.Code
		text string
	}{
		{"no topic", &rafkapb.PublishRequest{}, codes.InvalidArgument, "name a topic"},
		{"a bad topic", &rafkapb.PublishRequest{Topic: "../x"}, codes.InvalidArgument, "INVALID_TOPIC_EXCEPTION"},
		{"two payloads", &rafkapb.PublishRequest{Topic: "t", Payload: "a", PayloadBytes: []byte("b")}, codes.InvalidArgument, "not both"},
		{"two keys", &rafkapb.PublishRequest{Topic: "t", Key: "a", KeyBytes: []byte("b")}, codes.InvalidArgument, "not both"},
		{"a full tombstone", &rafkapb.PublishRequest{Topic: "t", Payload: "a", Tombstone: true}, codes.InvalidArgument, "tombstone"},
		{"a negative partition", &rafkapb.PublishRequest{Topic: "t", Partition: proto.Int32(-1)}, codes.InvalidArgument, "leave it out"},
		{"an absent partition", &rafkapb.PublishRequest{Topic: "t", Partition: proto.Int32(9)}, codes.NotFound, "it has 0 to 0"},
		{"a negative time", &rafkapb.PublishRequest{Topic: "t", TimestampMs: proto.Int64(-5)}, codes.InvalidArgument, "timestamp_ms"},
		{"an unknown partitioner", &rafkapb.PublishRequest{Topic: "t", Partitioner: 9}, codes.InvalidArgument, "PARTITIONER_MURMUR2"},
		{"more than the topic takes", &rafkapb.PublishRequest{Topic: "t", Payload: strings.Repeat("x", 1000)}, codes.InvalidArgument, "max.message.bytes"},
		{"more than the door takes", &rafkapb.PublishRequest{Topic: "t", Payload: strings.Repeat("x", 1<<20)}, codes.ResourceExhausted, "larger than max"},
	} {
		if r, err := c.Publish(t.Context(), q.req); status.Code(err) != q.code || !strings.Contains(fmt.Sprint(err), q.text) {
			t.Errorf("%s: %v, %v; want %s with %q", q.name, r, err, q.code, q.text)
		}
	}
	b.AutoCreate = false
	if _, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "new"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "create it first") {
		t.Error(err)
	}
}

// What is not served says so, and nothing pretends to work (RPC-3).
func TestUnservedCallsSaySo(t *testing.T) {
	_, _, conn := start(t, Options{})
	for _, method := range []string{"ForwardMessage", "GetClusterInfo", "JoinCluster", "GossipMessage", "GetMeshTopology", "JoinMesh", "LeaveMesh"} {
		err := conn.Invoke(t.Context(), "/rafka.BrokerService/"+method, &rafkapb.GetMetricsRequest{}, &rafkapb.GetMetricsResponse{})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "does not serve "+method+" yet; ") {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// GetMetrics equals what was stored and is still there.
func TestMetricsTellTheTruth(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	now := time.UnixMilli(1_000_000_000)
	b, _, conn := start(t, Options{Now: func() time.Time { return now }})
	b.Partitions = 3
	c := rafkapb.NewBrokerServiceClient(conn)
	r, err := c.GetMetrics(t.Context(), &rafkapb.GetMetricsRequest{})
	if err != nil || r.GetTotalMessages() != 0 || r.GetTotalBytes() != 0 || r.GetOldestMessageAgeSecs() != 0 {
		t.Fatal(r, err)
	}
	count := uint64(0)
	for range 1 + dice.IntN(50) {
		ms := int64(1_000_000_000 - dice.IntN(1000)*1000)
		if _, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: fmt.Sprint("t", dice.IntN(3)), Payload: "x", TimestampMs: &ms}); err != nil {
			t.Fatal(err)
		}
		count++
	}
	old := int64(1_000_000_000 - 2_000_000)
	at, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: "old", Payload: "x", TimestampMs: &old})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * totalsAge)
	bytes := int64(0)
	for _, l := range b.DescribeLogDirs(nil, nil)[0].Logs {
		bytes += l.Size
	}
	if r, err = c.GetMetrics(t.Context(), &rafkapb.GetMetricsRequest{}); err != nil || r.GetTotalMessages() != count+1 || r.GetTotalBytes() != uint64(bytes) || r.GetOldestMessageAgeSecs() != 2004 {
		t.Errorf("%v %v, want %d messages, %d bytes", r, err, count+1, bytes)
	}
	b.Trim("old", at.GetPartition(), 1)
	now = now.Add(2 * totalsAge)
	if r, err = c.GetMetrics(t.Context(), &rafkapb.GetMetricsRequest{}); err != nil || r.GetTotalMessages() != count || r.GetOldestMessageAgeSecs() > 1008 {
		t.Errorf("after retention: %v %v, want %d messages", r, err, count)
	}
}

// Health follows readiness, in our call and in the standard service.
func TestHealthFollowsReadiness(t *testing.T) {
	why := make(chan error, 1)
	why <- errors.New("the logs are being opened")
	_, _, conn := start(t, Options{Ready: func() error {
		err := <-why
		why <- err
		return err
	}})
	c, h := rafkapb.NewBrokerServiceClient(conn), grpc_health_v1.NewHealthClient(conn)
	watch, err := h.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "rafka.BrokerService"})
	if err != nil {
		t.Fatal(err)
	}
	check := func(healthy bool, text string, serving grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if r, err := c.HealthCheck(t.Context(), &rafkapb.HealthCheckRequest{}); err != nil || r.GetHealthy() != healthy || r.GetStatus() != text || r.GetTimestamp() == 0 {
			t.Error(r, err)
		}
		if r, err := h.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil || r.GetStatus() != serving {
			t.Error(r, err)
		}
		if r, err := watch.Recv(); err != nil || r.GetStatus() != serving {
			t.Error(r, err)
		}
	}
	check(false, "the logs are being opened", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	<-why
	why <- nil
	check(true, "ready", grpc_health_v1.HealthCheckResponse_SERVING)
	if _, err := h.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "else"}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
}

// Tools find the service by reflection.
func TestReflectionNamesTheService(t *testing.T) {
	_, _, conn := start(t, Options{})
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	r, err := stream.Recv()
	if err != nil || !strings.Contains(r.String(), "rafka.BrokerService") {
		t.Error(r, err)
	}
}

// A stop tells streams to come back, and waits for the message being published.
func TestShutdownFinishesPublishAndEndsStreams(t *testing.T) {
	b, s, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	publish(t, c, "t", "one")
	stream, err := c.Consume(t.Context(), &rafkapb.ConsumeRequest{Topic: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	b.HoldAcks()
	answer := make(chan error, 1)
	go func() {
		r, err := c.Publish(context.Background(), &rafkapb.PublishRequest{Topic: "t", Payload: "two"})
		if err == nil && r.GetOffset() != 1 {
			err = fmt.Errorf("stored at %d", r.GetOffset())
		}
		answer <- err
	}()
	if m, err := stream.Recv(); err != nil || m.GetPayload() != "two" {
		t.Fatal(m, err)
	}
	stopped := make(chan struct{})
	go func() {
		s.Shutdown(context.Background())
		close(stopped)
	}()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "shutting down") {
		t.Error(err)
	}
	b.LetGo()
	if err := <-answer; err != nil {
		t.Error(err)
	}
	<-stopped
}

// What the metrics count is there: clients are forgotten with their connection, and no connection can register without end.
func TestRegistrationsLastAsLongAsTheirConnection(t *testing.T) {
	_, s, conn := start(t, Options{})
	c := rafkapb.NewBrokerServiceClient(conn)
	for i := range maxRegistered {
		if _, err := c.Register(t.Context(), &rafkapb.RegisterRequest{ClientId: fmt.Sprint(i), ClientType: rafkapb.ClientType_PRODUCER}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Register(t.Context(), &rafkapb.RegisterRequest{ClientId: "one more"}); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	if _, err := c.Register(t.Context(), &rafkapb.RegisterRequest{ClientId: "0", ClientType: rafkapb.ClientType_CONSUMER}); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Producers != maxRegistered-1 || st.Consumers != 1 || st.Connections != 1 {
		t.Errorf("%+v", st)
	}
	_ = conn.Close()
	for s.Stats().Connections > 0 {
		runtime.Gosched()
	}
	for st := s.Stats(); st.Producers != 0 || st.Consumers != 0; st = s.Stats() {
		runtime.Gosched()
	}
}
