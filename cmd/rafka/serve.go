package main

import (
	"io"

	"github.com/spf13/cobra"
)

// serveOptions are the server's flags. An address that was not given is nil (the configuration decides); a given empty
// one turns that door off.
type serveOptions struct {
	dataDir   string    // "": the configuration decides
	config    string    // file, "" for none
	set       keyValues // key=value, last wins
	logLevel  string    // "": the configuration decides
	ephemeral bool
	kafkaAddr *string
	httpAddr  *string
	grpcAddr  *string
	peerAddr  *string
	nodeID    int      // -1: the configuration decides
	join      []string // addresses of other brokers' peer ports
	metadata  *string  // where the cluster's metadata is kept
	expect    int      // of --bootstrap-expect; -1: the configuration decides

	stdout, stderr io.Writer // the banner with the addresses; logs
}

// newServeCommand builds `serve`; bare `rafka` is the same command under another name.
func newServeCommand() *cobra.Command {
	var o serveOptions
	level := oneOf("info", "debug", "warn", "error")
	var kafkaAddr, httpAddr, grpcAddr, peerAddr, metadata string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start a server",
		Long: `Start a server and run it until it is told to stop (SIGINT or SIGTERM; a second signal stops at once).

Settings come from, weakest first: built-in defaults, --config FILE, the environment (RAFKA_*, KAFKA_*), --set and the
other flags. Port 0 picks a free port and prints it. An empty address turns that door off.

Several brokers are a cluster: give each --peer-addr and --join with the peer addresses of all or some of them. Where none
of them belongs to a cluster yet, --bootstrap-expect says how many found one. The same line may be used on every broker and
any number of times; a broker that belongs to a cluster needs only its --data-dir to come back to it.`,
		Example: `  rafka serve --data-dir /var/lib/rafka
  rafka serve --config server.properties --set log.retention.hours=24
  rafka serve --data-dir d1 --peer-addr 10.0.0.1:9094 --join 10.0.0.1:9094,10.0.0.2:9094,10.0.0.3:9094 --bootstrap-expect 3
  rafka serve --ephemeral --kafka-addr 127.0.0.1:0 --http-addr "" --grpc-addr ""`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.ephemeral && o.dataDir != "" {
				return usagef("--ephemeral keeps everything in memory and --data-dir names a place on disk: give one of them")
			}
			given := func(name string, addr *string) *string {
				if cmd.Flags().Changed(name) {
					return addr
				}
				return nil
			}
			o.kafkaAddr, o.httpAddr, o.grpcAddr = given("kafka-addr", &kafkaAddr), given("http-addr", &httpAddr), given("grpc-addr", &grpcAddr)
			o.peerAddr, o.metadata = given("peer-addr", &peerAddr), given("metadata", &metadata)
			if cmd.Flags().Changed("log-level") {
				o.logLevel = level.value
			}
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runServer(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dataDir, "data-dir", "", "directory for topics and metadata")
	f.StringVar(&kafkaAddr, "kafka-addr", "", "address for Kafka's protocol and the line protocol (default from the configuration)")
	f.StringVar(&httpAddr, "http-addr", "", "address for HTTP: metrics, health (default from the configuration)")
	f.StringVar(&grpcAddr, "grpc-addr", "", "address for gRPC (default from the configuration)")
	f.StringVar(&peerAddr, "peer-addr", "", "address at which other brokers reach this one (default none: nobody can join)")
	f.StringSliceVar(&o.join, "join", nil, "peer addresses of brokers whose cluster to join (comma-separated, repeatable)")
	f.IntVar(&o.expect, "bootstrap-expect", -1, "how many fresh brokers found a cluster, where there is none to join")
	f.StringVar(&metadata, "metadata", "", "where the cluster's metadata is kept, as `etcd://HOST:PORT,HOST:PORT/PREFIX` (default: in the brokers)")
	f.IntVar(&o.nodeID, "node-id", -1, "id of this broker in its cluster (default: one that is free)")
	f.StringVar(&o.config, "config", "", "configuration `FILE`: YAML, or server.properties")
	f.Var(&o.set, "set", "set one configuration key (repeatable)")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "keep everything in memory; nothing survives the end of the process")
	f.Var(&level, "log-level", "how much to log")
	return cmd
}
