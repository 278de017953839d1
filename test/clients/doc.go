// Package clients runs programs that others wrote against the real binary: kcat (librdkafka) and Apache Kafka's own command line tools,
// and moves a large file between kcat and franz-go in every compression, byte for byte.
//
// The tests run with RAFKA_CLIENTS=1 (make clients) and are skipped otherwise, because they need programs that Go does not bring:
//
//   - kcat in the PATH (Debian's package kcat).
//   - Kafka's tools: java in the PATH, and either RAFKA_KAFKA_CLASSPATH, a class path with Kafka's jars (for an unpacked Kafka:
//     /opt/kafka/libs/*), or mvn in the PATH, which then fetches them from Maven Central once, for some minutes.
//
// What is missing is skipped, and the skip says what. RAFKA_CLIENTS_MB sets the size of the large file in MiB (300).
package clients
