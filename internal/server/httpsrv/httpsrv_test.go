package httpsrv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/storage"
)

// image has topics of the given numbers of partitions on broker 1, named t0, t1, ...
func image(t testing.TB, partitions ...int) (*metadata.Image, *metadata.Delta) {
	t.Helper()
	records := []metadata.Record{
		&metadata.ClusterRecord{ID: "cluster-<1>"}, &metadata.ControllerRecord{Controller: 1, Term: 1},
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "here", Port: 9092}}}},
	}
	one := []kafka.BrokerID{1}
	for i, n := range partitions {
		records = append(records, &metadata.TopicRecord{ID: kafka.NewUUID(), Name: fmt.Sprint("t", i),
			Partitions: []metadata.PartitionRun{{Count: int32(n), Partition: metadata.Partition{Replicas: one, ISR: one, Leader: 1}}}})
	}
	img, delta, err := metadata.Fold(metadata.Empty(), records)
	if err != nil {
		t.Fatal(err)
	}
	return img, delta
}

// fake is a Replicas with numbers made from the names.
type fake struct{ topics []Topic }

func (f fake) Counts() Counts {
	return Counts{Topics: len(f.topics), Partitions: 6, Leaders: 5, UnderMinISR: 1, AtMinISR: 2, Offline: 1, Delayed: 9,
		Following: Following{Sources: 2, Silent: 1, Failed: 3, MaxLag: 11, Behind: 1500 * time.Millisecond, BytesIn: 12, Failures: 13},
		Traffic:   Traffic{MessagesIn: 100, BytesIn: 200, BytesOut: 300, ProduceRequests: 40, FetchRequests: 50, FailedProduce: 6, FailedFetch: 7}}
}
func (f fake) Topics() []Topic { return f.topics }
func (f fake) Partitions(t Topic) []Partition {
	all := []Partition{{Partition: 0, IsOpen: true, Start: 5, HighWatermark: 25, Size: 1000}}
	for i := 1; i < t.Partitions; i++ {
		all = append(all, Partition{Partition: int32(i)})
	}
	return all
}
func (f fake) Directories() []storage.DirInfo {
	return []storage.DirInfo{{Path: "/data", Total: 1000, Free: 400}, {Path: "/broken", Failed: errors.New("I/O error")}}
}

// serve starts a real server; everything has ended when the test has.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(s.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func get(t testing.TB, url string) (int, string, http.Header) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body), r.Header
}

// scrape reads /metrics back: series to value.
func scrape(t testing.TB, base string) map[string]float64 {
	t.Helper()
	code, body, _ := get(t, base+"/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	page := map[string]float64{}
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		page[line[:i]] = v
	}
	return page
}

// The page says what its sources say, under the names that dashboards and exporters use (HTP-2).
func TestPageTellsWhatItsSourcesTell(t *testing.T) {
	img, _ := image(t, 1, 2)
	now := time.Unix(1_000_000, 0)
	var latency broker.Latency
	latency.Observe(3 * time.Millisecond)
	latency.Observe(time.Minute)
	counts := latency.Counts()
	base := serve(t, New(Sources{
		NodeID: 1, Image: func() *metadata.Image { return img },
		Replicas: fake{[]Topic{{Name: "t0", Partitions: 1, Traffic: Traffic{MessagesIn: 7, FailedFetch: 2}}, {Name: "t1", Partitions: 2, Traffic: Traffic{BytesIn: 9}}}},
		Doors: func() []Door {
			return []Door{{Name: "kafka", Connections: 4, ConnectionErrors: 2, Consumers: -1, Delivered: -1, Failures: -1}, {Name: "grpc", Connections: 1, Consumers: 3, Delivered: 12, Failures: 5, Publish: &counts, Consume: &counts}}
		},
		APIs:          func() []API { return []API{{Name: "Produce", Requests: 2, Latency: counts}} },
		Oldest:        func() time.Time { return now.Add(-time.Hour) },
		StorageErrors: func() uint64 { return 8 },
	}, Options{Version: "1.2.3", Now: func() time.Time { return now }}))
	page := scrape(t, base)
	for series, want := range map[string]float64{
		`rafka_build_info{version="1.2.3"}`:                                          1,
		`kafka_brokers`:                                                              1,
		`kafka_broker_info{address="here:9092",id="1"}`:                              1,
		`kafka_controller_kafkacontroller_activecontrollercount`:                     1,
		`kafka_controller_kafkacontroller_offlinepartitionscount`:                    0,
		`kafka_controller_kafkacontroller_globaltopiccount`:                          2,
		`kafka_controller_kafkacontroller_globalpartitioncount`:                      3,
		`kafka_server_replicamanager_partitioncount`:                                 6,
		`kafka_server_replicamanager_leadercount`:                                    5,
		`kafka_server_replicamanager_underreplicatedpartitions`:                      0,
		`kafka_server_replicamanager_underminisrpartitioncount`:                      1,
		`kafka_cluster_partition_underminisr`:                                        1,
		`kafka_cluster_partition_atminisr`:                                           2,
		`kafka_server_replicamanager_offlinereplicacount`:                            1,
		`kafka_server_replicafetchermanager_deadthreadcount`:                         1,
		`kafka_server_replicafetchermanager_failedpartitionscount`:                   3,
		`kafka_server_replicafetchermanager_maxlag`:                                  11,
		`rafka_replica_behind_seconds`:                                               1.5,
		`rafka_replica_fetchers`:                                                     2,
		`rafka_replica_fetch_failures_total`:                                         13,
		`kafka_server_brokertopicmetrics_replicationbytesin_total`:                   12,
		`rafka_delayed_records`:                                                      9,
		`kafka_log_logmanager_offlinelogdirectorycount`:                              1,
		`rafka_storage_disk_free_bytes{directory="/data"}`:                           400,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="t0"}`:               7,
		`kafka_server_brokertopicmetrics_failedfetchrequests_total{topic="t0"}`:      2,
		`kafka_server_brokertopicmetrics_bytesin_total{topic="t1"}`:                  9,
		`kafka_topic_partitions{topic="t1"}`:                                         2,
		`kafka_topic_partition_current_offset{partition="0",topic="t1"}`:             25,
		`kafka_topic_partition_oldest_offset{partition="0",topic="t1"}`:              5,
		`kafka_topic_partition_in_sync_replica{partition="1",topic="t1"}`:            1,
		`kafka_topic_partition_leader{partition="1",topic="t1"}`:                     1,
		`kafka_topic_partition_leader_is_preferred{partition="1",topic="t1"}`:        1,
		`kafka_topic_partition_replicas{partition="1",topic="t1"}`:                   1,
		`kafka_topic_partition_under_replicated_partition{partition="1",topic="t1"}`: 0,
		`kafka_log_log_size{partition="0",topic="t0"}`:                               1000,
		`rafka_messages_published_total`:                                             100,
		`rafka_messages_failed_total`:                                                6,
		`rafka_partition_errors_total`:                                               13,
		`rafka_storage_errors_total`:                                                 8,
		`rafka_bytes_consumed_total`:                                                 300,
		`rafka_messages_consumed_total{door="grpc"}`:                                 12,
		`rafka_failed_calls_total{door="grpc"}`:                                      5,
		`rafka_active_connections{door="kafka"}`:                                     4,
		`rafka_connection_errors_total{door="kafka"}`:                                2,
		`rafka_active_consumers{door="grpc"}`:                                        3,
		`rafka_active_topics`:                                                        2,
		`rafka_storage_messages_total`:                                               40,
		`rafka_storage_bytes_total`:                                                  2000,
		`rafka_storage_unopened_logs`:                                                1,
		`rafka_storage_oldest_message_age_seconds`:                                   3600,
		`rafka_publish_latency_seconds_bucket{door="grpc",le="0.001"}`:               0,
		`rafka_publish_latency_seconds_bucket{door="grpc",le="0.005"}`:               1,
		`rafka_publish_latency_seconds_bucket{door="grpc",le="10"}`:                  1,
		`rafka_publish_latency_seconds_bucket{door="grpc",le="+Inf"}`:                2,
		`rafka_publish_latency_seconds_sum{door="grpc"}`:                             60.003,
		`rafka_consume_latency_seconds_count{door="grpc"}`:                           2,
		`rafka_broker_response_latency_seconds_count{request="Produce"}`:             2,
		`kafka_network_requestmetrics_requests_total{request="Produce"}`:             2,
		`rafka_metrics_omitted_partitions`:                                           0,
	} {
		if got, there := page[series]; !there || got != want {
			t.Errorf("%s is %v (there: %t), want %v", series, got, there, want)
		}
	}
	for _, series := range []string{`rafka_messages_consumed_total{door="kafka"}`, `kafka_topic_partition_current_offset{partition="1",topic="t1"}`} {
		if v, there := page[series]; there {
			t.Errorf("%s is not known and shown as %v", series, v)
		}
	}
	for _, series := range []string{"process_open_fds", "go_goroutines", "rafka_memory_usage_bytes"} {
		if page[series] <= 0 {
			t.Errorf("%s is %v", series, page[series])
		}
	}
}

// More topics and partitions than allowed are left out and counted; sums over topics stay true (HTP-1).
func TestSeriesAreBounded(t *testing.T) {
	img, _ := image(t, 50, 3, 2, 4, 1)
	var topics []Topic
	for i, n := range []int{50, 3, 2, 4, 1} {
		topics = append(topics, Topic{Name: fmt.Sprint("t", i), Partitions: n, Traffic: Traffic{MessagesIn: 1 << i}})
	}
	page := scrape(t, serve(t, New(Sources{NodeID: 1, Image: func() *metadata.Image { return img }, Replicas: fake{topics}}, Options{MaxTopics: 4, MaxPartitions: 7})))
	for series, want := range map[string]float64{
		// t4, t2, t1 fit, t3 has room as a topic only, t0 not at all.
		`kafka_topic_partitions{topic="t4"}`:                                1,
		`kafka_topic_partition_leader{partition="2",topic="t1"}`:            1,
		`kafka_topic_partitions{topic="t3"}`:                                4,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="t3"}`:      8,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="(other)"}`: 1,
		`rafka_metrics_omitted_topics`:                                      1,
		`rafka_metrics_omitted_partitions`:                                  54,
		`rafka_storage_messages_total`:                                      100,
	} {
		if got, there := page[series]; !there || got != want {
			t.Errorf("%s is %v (there: %t), want %v", series, got, there, want)
		}
	}
	for series := range page {
		if strings.Contains(series, `topic="t0"`) || strings.Contains(series, "partition") && strings.Contains(series, `topic="t3"`) && !strings.HasPrefix(series, "kafka_topic_partitions") {
			t.Errorf("%s should be left out", series)
		}
	}
}

// untouched is an engine that must not be used.
type untouched struct{ opened atomic.Int64 }

func (u *untouched) Open(storage.ID, storage.Config) (storage.Log, error) {
	u.opened.Add(1)
	return nil, errors.New("a scrape opened a log")
}
func (u *untouched) Remove(storage.ID) error     { return nil }
func (u *untouched) List() ([]storage.ID, error) { return nil, nil }
func (u *untouched) Dirs() []storage.DirInfo     { return []storage.DirInfo{{Path: "/data"}} }
func (u *untouched) Close() error                { return nil }

// tenThousand is a replica.Manager with 10,000 idle partitions.
func tenThousand(t testing.TB) (*untouched, Sources) {
	engine := &untouched{}
	m, err := replica.New(replica.Options{NodeID: 1, Engine: engine, Settings: func(*metadata.Image, string) *partition.Settings { return &partition.Settings{MinISR: 1} }})
	if err != nil {
		t.Fatal(err)
	}
	img, delta := image(t, 9000, 900, 90, 9, 1)
	m.Apply(img, delta)
	return engine, Sources{NodeID: 1, Image: func() *metadata.Image { return img }, Replicas: OfReplicas(m)}
}

// A scrape of 10,000 idle partitions opens none of them, and its page stays small (HTP-1).
func TestScrapeOpensNoLog(t *testing.T) {
	engine, sources := tenThousand(t)
	page := scrape(t, serve(t, New(sources, Options{})))
	if n := engine.opened.Load(); n > 0 {
		t.Errorf("%d logs were opened", n)
	}
	if page["kafka_server_replicamanager_partitioncount"] != 10000 || page["rafka_storage_unopened_logs"] != 10000 || page["rafka_metrics_omitted_partitions"] != 9000 {
		t.Errorf("%v partitions, %v unopened, %v omitted", page["kafka_server_replicamanager_partitioncount"], page["rafka_storage_unopened_logs"], page["rafka_metrics_omitted_partitions"])
	}
	if len(page) > 6000 {
		t.Errorf("%d series", len(page))
	}
}

// Readiness and health follow their sources, with reasons, on every route (HTP-3).
func TestHealthTellsReasons(t *testing.T) {
	img, _ := image(t)
	var why atomic.Pointer[[]string]
	why.Store(&[]string{"the logs are being opened", "no metadata yet"})
	source := func() []string { return *why.Load() }
	base := serve(t, New(Sources{NodeID: 1, Image: func() *metadata.Image { return img }, NotReady: source, Unhealthy: source}, Options{}))
	check := func(code int, routes map[string]string) {
		t.Helper()
		for route, want := range routes {
			if got, body, header := get(t, base+route); got != code || body != want+"\n" || header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %s, want %d %s", route, got, body, code, want)
			}
		}
	}
	const reasons = `"reasons":["the logs are being opened","no metadata yet"]}`
	check(503, map[string]string{"/readyz": `{"status":"not ready",` + reasons, "/v1/status/ready": `{"status":"not ready",` + reasons, "/healthz": `{"status":"unhealthy",` + reasons, "/health": `{"status":"unhealthy",` + reasons})
	check(200, map[string]string{"/livez": `{"status":"alive"}`})
	if _, body, _ := get(t, base+"/"); !strings.Contains(body, "<li>no metadata yet</li>") {
		t.Errorf("the status page says %s", body)
	}
	why.Store(new([]string))
	check(200, map[string]string{"/readyz": `{"status":"ready"}`, "/v1/status/ready": `{"status":"ready"}`, "/healthz": `{"status":"healthy"}`, "/health": `{"status":"healthy"}`})
}

// The page for people escapes what it shows; other paths and methods are refused.
func TestStatusPage(t *testing.T) {
	img, _ := image(t, 3)
	base := serve(t, New(Sources{NodeID: 1, Image: func() *metadata.Image { return img }}, Options{Version: "<b>"}))
	code, body, header := get(t, base+"/")
	if code != 200 || !strings.Contains(body, "cluster-&lt;1&gt;") || !strings.Contains(body, "&lt;b&gt;") || !strings.Contains(body, "This broker is ready.") || strings.Contains(body, "pprof") {
		t.Errorf("%d %s", code, body)
	}
	if !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", header)
	}
	for _, path := range []string{"/nothing", "/debug/pprof/", "/metrics/x", "/../etc/passwd"} {
		if code, _, _ := get(t, base+path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
	r, err := http.Post(base+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", r.StatusCode)
	}
}

// Profiles are there when asked for, and deadlines always (HTP-4).
func TestProfilesOnlyWhenAskedFor(t *testing.T) {
	img, _ := image(t)
	s := New(Sources{NodeID: 1, Image: func() *metadata.Image { return img }}, Options{Profiles: true})
	base := serve(t, s)
	if code, body, _ := get(t, base+"/debug/pprof/"); code != 200 || !strings.Contains(body, "goroutine") {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := get(t, base+"/debug/pprof/goroutine?debug=1"); code != 200 {
		t.Errorf("goroutine profile: %d", code)
	}
	if h := s.http; h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes > 64<<10 {
		t.Errorf("%+v", h)
	}
}

func BenchmarkScrapeTenThousandPartitions(b *testing.B) {
	_, sources := tenThousand(b)
	base := serve(b, New(sources, Options{}))
	b.ReportAllocs()
	for b.Loop() {
		if code, _, _ := get(b, base+"/metrics"); code != 200 {
			b.Fatal(code)
		}
	}
}
