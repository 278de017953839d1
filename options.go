package rafka

import (
	"log/slog"
	"net"
)

// Option changes how a Server is started.
type Option func(*options)

type options struct {
	settings map[string]string
	logger   *slog.Logger
	listener net.Listener
	memory   bool
}

// WithDataDir keeps topics and metadata in dir, which is made if need be. [the platform's data directory] Of WithDataDir and InMemory the
// last one wins.
func WithDataDir(dir string) Option {
	return func(o *options) {
		o.memory = false
		o.settings["log.dirs"] = dir
	}
}

// InMemory keeps everything in memory: nothing is written, and all is gone after Shutdown. Of WithDataDir and InMemory the last one wins.
func InMemory() Option { return func(o *options) { o.memory = true } }

// WithKafkaAddr is where clients of Kafka's protocol and of the line protocol connect, HOST:PORT; port 0 takes a free one. [:9092]
func WithKafkaAddr(addr string) Option { return WithSetting("rafka.kafka.address", addr) }

// WithKafkaListener serves l instead of an address: any listener, one in memory too. The Server owns it.
func WithKafkaListener(l net.Listener) Option { return func(o *options) { o.listener = l } }

// WithGRPCAddr opens the gRPC door at HOST:PORT. [closed]
func WithGRPCAddr(addr string) Option { return WithSetting("rafka.grpc.address", addr) }

// WithHTTPAddr opens the HTTP door (metrics, health) at HOST:PORT. [closed]
func WithHTTPAddr(addr string) Option { return WithSetting("rafka.http.address", addr) }

// WithSetting sets one key of the configuration, as docs/reference/configuration.md lists them. The last one wins.
func WithSetting(key, value string) Option {
	return func(o *options) { o.settings[key] = value }
}

// WithLogger is where the broker writes about itself. [nowhere]
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }
