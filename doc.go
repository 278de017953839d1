// Package rafka is the broker as a library: Kafka's wire protocol, a durable partitioned log, in your own process.
//
//	srv, err := rafka.Start(ctx, rafka.WithDataDir("data"), rafka.WithKafkaAddr("127.0.0.1:9092"))
//	…
//	defer srv.Shutdown(ctx)
//
// Every setting that the server's configuration file knows can be given with WithSetting; package rafkatest starts a broker inside a test in one
// call.
package rafka
