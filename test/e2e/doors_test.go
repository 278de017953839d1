package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rafka-io/rafka"
	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// say sends one command to the line protocol and returns the lines of its answer up to one that begins with end.
func say(t *testing.T, addr, command, end string) []string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(c, command); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for in := bufio.NewScanner(c); in.Scan(); {
		lines = append(lines, in.Text())
		if strings.HasPrefix(in.Text(), end) {
			return lines
		}
	}
	t.Fatalf("%s: answered %q", command, lines)
	return nil
}

// What one door takes, all doors show: the same records at the same offsets.
func TestEveryDoorSeesTheSameRecords(t *testing.T) {
	b := rafkatest.StartOnDisk(t, rafka.WithGRPCAddr("127.0.0.1:0"))
	conn, err := grpc.NewClient(b.Server.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rpc := rafkapb.NewBrokerServiceClient(conn)

	create(t, b, "mixed", 1)
	produce(t, client(t, b), &kgo.Record{Topic: "mixed", Key: []byte("k"), Value: []byte("by kafka")})
	if got := say(t, b.Addr, "PRODUCE mixed k by text", "OK"); got[0] != "OK 0 1" {
		t.Errorf("text answered %q", got)
	}
	if stored, err := rpc.Publish(within(t), &rafkapb.PublishRequest{Topic: "mixed", Key: "k", Payload: "by grpc"}); err != nil || stored.GetOffset() != 2 {
		t.Errorf("gRPC answered %v, error %v", stored, err)
	}

	want := []string{"by kafka", "by text", "by grpc"}
	for i, r := range consume(t, b, "mixed", kgo.NewOffset().AtStart(), 3) {
		if string(r.Value) != want[i] || string(r.Key) != "k" {
			t.Errorf("Kafka: offset %d is %q", r.Offset, r.Value)
		}
	}
	lines := say(t, b.Addr, "CONSUME mixed 0 0", "END")
	for i, v := range want {
		if line := fmt.Sprintf(`%d:{"offset":%d,"key":"k","value":"%s"}`, i, i, v); lines[i] != line {
			t.Errorf("text: %q, want %q", lines[i], line)
		}
	}
	stream, err := rpc.Consume(within(t), &rafkapb.ConsumeRequest{Topic: "mixed", StopAtEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		m, err := stream.Recv()
		if err == io.EOF && i == len(want) {
			break
		}
		if err != nil || m.GetPayload() != want[i] || m.GetOffset() != int64(i) {
			t.Fatalf("gRPC: message %d is %v, error %v", i, m, err)
		}
	}
}

// metrics reads the page: the value of each series by its name and labels as the page spells them.
func metrics(t *testing.T, addr string) map[string]float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	values := map[string]float64{}
	for in := bufio.NewScanner(answer.Body); in.Scan(); {
		cut := strings.LastIndexByte(in.Text(), ' ')
		if strings.HasPrefix(in.Text(), "#") || cut < 0 {
			continue
		}
		v, err := strconv.ParseFloat(in.Text()[cut+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", in.Text(), err)
		}
		values[in.Text()[:cut]] = v
	}
	return values
}

// The metrics count what was done.
func TestMetricsMove(t *testing.T) {
	b := rafkatest.StartOnDisk(t, rafka.WithHTTPAddr("127.0.0.1:0"))
	create(t, b, "counted", 2)
	before := metrics(t, b.Server.HTTPAddr())
	cl := client(t, b, kgo.DefaultProduceTopic("counted"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 10 {
		produce(t, cl, &kgo.Record{Value: value(i, 100)})
	}
	consume(t, b, "counted", kgo.NewOffset().AtStart(), 10)
	say(t, b.Addr, "PRODUCE counted - hello", "OK")
	after := metrics(t, b.Server.HTTPAddr())
	for key, rise := range map[string]float64{
		"rafka_messages_published_total":                                               11,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="counted"}`:            11,
		`kafka_network_requestmetrics_requests_total{request="Produce"}`:               10,
		`rafka_broker_response_latency_seconds_count{request="Produce"}`:               10,
		`rafka_publish_latency_seconds_count{door="text"}`:                             1,
		`kafka_server_brokertopicmetrics_failedproducerequests_total{topic="counted"}`: 0,
	} {
		if got := after[key] - before[key]; got != rise {
			t.Errorf("%s rose by %v, want %v", key, got, rise)
		}
	}
	for _, key := range []string{
		`kafka_server_brokertopicmetrics_bytesin_total{topic="counted"}`, `kafka_server_brokertopicmetrics_bytesout_total{topic="counted"}`,
		"rafka_storage_bytes_total", "rafka_bytes_consumed_total", "rafka_memory_usage_bytes",
	} {
		if after[key] <= 0 {
			t.Errorf("%s is %v", key, after[key])
		}
	}
	for key, want := range map[string]float64{
		`kafka_topic_partitions{topic="counted"}`: 2, "kafka_brokers": 1, "kafka_server_replicamanager_partitioncount": 2,
		"rafka_storage_messages_total": 11, "kafka_controller_kafkacontroller_activecontrollercount": 1,
	} {
		if after[key] != want {
			t.Errorf("%s is %v, want %v", key, after[key], want)
		}
	}
}

// Every metric that the documentation lists is on a broker's page.
func TestMetricsOfTheDocumentationAreThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/ops/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	b := rafkatest.StartOnDisk(t, rafka.WithHTTPAddr("127.0.0.1:0"), rafka.WithGRPCAddr("127.0.0.1:0"))
	produce(t, client(t, b, kgo.AllowAutoTopicCreation()), &kgo.Record{Topic: "t", Value: []byte("x")})
	consume(t, b, "t", kgo.NewOffset().AtStart(), 1)
	member := client(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	member.PollFetches(t.Context())
	if err := member.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for series := range metrics(t, b.Server.HTTPAddr()) {
		name, _, _ := strings.Cut(series, "{")
		there[name], there[strings.TrimSuffix(name, "_count")] = true, true
	}
	listed := 0
	for line := range strings.Lines(string(page)) {
		if row, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(row, "`")
			if listed++; !there[name] {
				t.Errorf("%s is documented and not there", name)
			}
		}
	}
	if listed < 40 {
		t.Errorf("the page lists %d metrics only", listed)
	}
}

// Health is told as supervisors ask for it.
func TestHealthRoutes(t *testing.T) {
	b := rafkatest.Start(t, rafka.WithHTTPAddr("127.0.0.1:0"))
	for _, route := range []string{"/livez", "/healthz", "/readyz", "/health", "/"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Server.HTTPAddr()+route, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		cancel()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", route, answer.Status)
		}
	}
}
