package app

import (
	"log/slog"
	"net"

	"github.com/rafka-io/rafka/internal/config"
)

// Options of an App.
type Options struct {
	// Static is the configuration.
	Static *config.Static
	// Ephemeral keeps everything in memory: no file is written.
	Ephemeral bool
	// KafkaListener is used instead of the configured listeners, under the name of the first of them or PLAINTEXT; the App owns it.
	KafkaListener net.Listener
	// Logger is where the broker writes about itself. Level is its level, which clients may change (BROKER_LOGGER).
	Logger *slog.Logger
	Level  *slog.LevelVar
	// Version is the program's.
	Version string
}

// Addrs are the addresses that doors accept on; nil for a door that is closed.
type Addrs struct {
	Kafka []Listening
	GRPC  net.Addr
	HTTP  net.Addr
}

// Listening is one of Kafka's listeners.
type Listening struct {
	Name string
	Addr net.Addr
}
