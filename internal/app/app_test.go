package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/porttest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// options are an App's on free ports over dir, with more settings.
func options(t *testing.T, dir string, settings ...string) Options {
	t.Helper()
	values := map[string]string{
		"log.dirs": dir, "rafka.kafka.address": "127.0.0.1:0", "rafka.grpc.address": "127.0.0.1:0", "rafka.http.address": "127.0.0.1:0",
	}
	for i := 0; i < len(settings); i += 2 {
		values[settings[i]] = settings[i+1]
	}
	static, _, err := config.Load(config.Sources{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Static: static, Logger: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Version: "test"}
}

func start(t *testing.T, o Options) *App {
	t.Helper()
	a, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) }) // a second time does nothing
	return a
}

func (a *App) components() []string {
	var names []string
	for _, c := range a.closers {
		names = append(names, c.name)
	}
	return names
}

// Were a door open before what it needs, or the storage closed before the partitions, the lists would differ (APP-1).
func TestComponentsStopInTheReverseOfTheirStart(t *testing.T) {
	var closed []string
	o := options(t, t.TempDir())
	o.Logger = slog.New(closings{slog.DiscardHandler, &closed})
	a := start(t, o)
	started := a.components()
	last := -1
	for _, name := range []string{"metadata store", "storage", "partitions", "controller", "kafka door", "connections"} {
		at := slices.Index(started, name)
		if at <= last {
			t.Errorf("%s started out of order: %q", name, started)
		}
		last = at
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(closed)
	if !slices.Equal(started, closed) {
		t.Errorf("started %q, stopped in the reverse of %q", started, closed)
	}
}

// closings is a log handler that notes which components were closed.
type closings struct {
	slog.Handler
	names *[]string
}

func (c closings) Enabled(context.Context, slog.Level) bool { return true }

func (c closings) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "closed" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "component" {
				*c.names = append(*c.names, a.Value.String())
			}
			return true
		})
	}
	return nil
}

// When Start returns, what was on disk can be read at once and every door answers; ready is told by /readyz (APP-2).
func TestStartedMeansServing(t *testing.T) {
	dir := t.TempDir()
	a := start(t, options(t, dir))
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.Addrs().Kafka[0].Addr.String()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "here", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	a = start(t, options(t, dir))
	if cl, err = kgo.NewClient(kgo.SeedBrokers(a.Addrs().Kafka[0].Addr.String())); err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "here")
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup("here", 0); end.Offset != 1 || end.Err != nil {
		t.Errorf("the topic ends at %d, error %v", end.Offset, end.Err)
	}
	if status := get(t, "http://"+a.Addrs().HTTP.String()+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d", status)
	}
	if c, err := net.Dial("tcp", a.Addrs().GRPC.String()); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if err := a.whyNotReady(); err != nil {
		t.Error(err)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.whyNotReady() == nil {
		t.Error("ready after the stop")
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// A stop refuses new connections, answers the fetch that waits, and leaves the clean marker, which a running broker does not have (APP-3).
func TestStopDrainsAndLeavesTheCleanMarker(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, ".rafka", "clean")
	addr := porttest.Free(t, 1)[0]
	a := start(t, options(t, dir, "rafka.kafka.address", addr))
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the clean marker exists while the broker runs: %v", err)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("no clean marker: %v", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a connection was accepted after the stop")
	}
}

// A broker that cannot start says which address is taken and leaves nothing behind: no goroutine, no open port, no lock on the directory.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := porttest.Free(t, 1)[0]
	dir := t.TempDir()
	_, err = Start(t.Context(), options(t, dir, "rafka.kafka.address", free, "rafka.http.address", taken.Addr().String()))
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Fatalf("error %v", err)
	}
	if err := start(t, options(t, dir, "rafka.kafka.address", free)).Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A broker that is to be of a cluster and lacks what that needs does not start: left with a cluster of its own it would take records that nobody else ever
// hears of.
func TestBrokersThatMeantAClusterAreNotLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"join without a peer address":  {[]string{"rafka.join", "127.0.0.1:1"}, "--peer-addr"},
		"found without a peer address": {[]string{"rafka.bootstrap.expect", "3"}, "--peer-addr"},
		"found without the others":     {[]string{"rafka.bootstrap.expect", "3", "rafka.peer.address", "127.0.0.1:0"}, "--join"},
	} {
		a, err := Start(t.Context(), options(t, t.TempDir(), c.settings...))
		if err == nil {
			_ = a.Shutdown(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A second broker over the same directory is refused: two writers would destroy each other's files.
func TestDirectoryHasOneBroker(t *testing.T) {
	dir := t.TempDir()
	start(t, options(t, dir))
	if _, err := Start(t.Context(), options(t, dir)); err == nil {
		t.Fatal("a second broker started over the same directory")
	} else {
		t.Log(err)
	}
}
