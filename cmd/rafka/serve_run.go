package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/app"
	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/vfs"
)

// drainFor is how long a stop waits for clients that are in the middle of something.
const drainFor = 10 * time.Second

// runServer runs the broker until ctx ends, which main ties to the first signal, or the broker fails. It must not listen for signals
// itself: the first one would come twice, by ctx and by its own channel, and the later of the two be taken for a second. What was
// acknowledged is on disk, so a second signal, which ends the process as if nobody caught it, costs the next start a recovery and no data.
func runServer(ctx context.Context, o serveOptions) error {
	began := time.Now()
	static, notices, err := loadConfig(o)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(static.String("rafka.log.level"))); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(o.stderr, &slog.HandlerOptions{Level: level}))
	for _, n := range notices {
		log.Info(n.Text, "keys", strings.Join(n.Keys, " "))
	}
	raiseFileLimit(log)
	a, err := app.Start(ctx, app.Options{Static: static, Ephemeral: o.ephemeral, Logger: log, Level: level, Version: buildVersion().Version})
	if err != nil {
		return err
	}
	banner(o.stdout, a, time.Since(began))
	var failed error
	select {
	case <-ctx.Done():
		log.Info("stopping; once more to stop at once", "cause", context.Cause(ctx))
	case <-a.Done():
		failed = a.Err()
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	return errors.Join(failed, a.Shutdown(drain))
}

// loadConfig merges the file, the environment and the flags.
func loadConfig(o serveOptions) (*config.Static, []config.Notice, error) {
	src := config.Sources{Env: os.Environ()}
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return nil, nil, fmt.Errorf("read the configuration: %w", err)
		}
		src.Files = append(src.Files, config.File{Name: o.config, Data: data})
	}
	for _, kv := range o.set {
		src.Flags = append(src.Flags, kv.key+"="+kv.value)
	}
	flag := func(key, value string) { src.Flags = append(src.Flags, key+"="+value) }
	if o.dataDir != "" {
		dir, err := filepath.Abs(o.dataDir)
		if err != nil {
			return nil, nil, err
		}
		flag("log.dirs", dir)
	}
	if o.logLevel != "" {
		flag("rafka.log.level", o.logLevel)
	}
	if o.nodeID >= 0 {
		flag("node.id", strconv.Itoa(o.nodeID))
	}
	if len(o.join) > 0 {
		flag("rafka.join", strings.Join(o.join, ","))
	}
	if o.expect >= 0 {
		flag("rafka.bootstrap.expect", strconv.Itoa(o.expect))
	}
	for key, addr := range map[string]*string{
		"rafka.kafka.address": o.kafkaAddr, "rafka.http.address": o.httpAddr, "rafka.grpc.address": o.grpcAddr, "rafka.peer.address": o.peerAddr,
		"rafka.metadata": o.metadata,
	} {
		if addr != nil {
			flag(key, *addr)
		}
	}
	static, notices, err := config.Load(src)
	if err != nil || o.ephemeral {
		return static, notices, err
	}
	return remember(src, static, notices)
}

// remember takes where a broker of a cluster listened when it last started for what nothing else says, so that its data directory is all that it
// needs to come back.
func remember(src config.Sources, static *config.Static, notices []config.Notice) (*config.Static, []config.Notice, error) {
	dir := static.String("metadata.log.dir")
	if dir == "" {
		dir = static.LogDirs()[0]
	}
	id, ok, err := join.Load(vfs.OS(), dir)
	if err != nil || !ok || !id.Belongs() {
		return static, notices, err
	}
	src.Values = id.Listen
	return config.Load(src)
}

// banner tells where everything is, and what to paste next.
func banner(w io.Writer, a *app.App, took time.Duration) {
	addrs := a.Addrs()
	fmt.Fprintf(w, "rafka %s\n", buildVersion().Version)
	var seed string
	for _, l := range addrs.Kafka {
		fmt.Fprintf(w, "  kafka  %s   %s; lines of text too, for nc\n", reachable(l.Addr.String()), l.Name)
		if seed == "" {
			seed = reachable(l.Addr.String())
		}
	}
	if addrs.GRPC != nil {
		fmt.Fprintf(w, "  grpc   %s\n", reachable(addrs.GRPC.String()))
	}
	if addrs.HTTP != nil {
		fmt.Fprintf(w, "  http   %s   /metrics /readyz\n", reachable(addrs.HTTP.String()))
	}
	if dirs := a.DataDirs(); len(dirs) > 0 {
		fmt.Fprintf(w, "  data   %s\n", strings.Join(dirs, ", "))
	} else {
		fmt.Fprintf(w, "  data   in memory, gone when this process ends\n")
	}
	if seed != "" {
		at := ""
		if seed != defaultBroker {
			at = " -b " + seed
		}
		fmt.Fprintf(w, "try it:\n  rafka topic create hello%s\n  echo 'hi there' | rafka produce hello%s\n  rafka consume hello%s\n", at, at, at)
	}
	fmt.Fprintf(w, "ready in %d ms\n", took.Milliseconds())
}

// reachable is an address that can be pasted: all interfaces includes this machine's own.
func reachable(addr string) string {
	for _, any := range []string{"[::]:", "0.0.0.0:"} {
		if port, ok := strings.CutPrefix(addr, any); ok {
			return "127.0.0.1:" + port
		}
	}
	return addr
}
