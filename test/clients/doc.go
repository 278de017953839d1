// Package clients runs programs that others wrote against the real binary: kcat (librdkafka) and Apache Kafka's own command line tools; and
// programs of ours that use others' clients and check what they see: Java's producers, consumers, share consumers and Kafka Streams
// (testdata/java), confluent-kafka (testdata/python) and kafkajs (testdata/js). It also moves a large file between kcat and franz-go in every
// compression, byte for byte.
//
// The tests run with RAFKA_CLIENTS=1 (make clients) and are skipped otherwise, because they need programs that Go does not bring:
//
//   - kcat in the PATH (Debian's package kcat).
//   - Kafka's tools and the Java programs: java, for the programs also javac, in the PATH, and either RAFKA_KAFKA_CLASSPATH, a class path with
//     Kafka's jars (for an unpacked Kafka of 4.2 or newer: /opt/kafka/libs/*), or mvn in the PATH, which then fetches them from Maven Central
//     once, for some minutes.
//   - confluent-kafka: python3 with venv and pip. kafkajs: node and npm. Each is fetched once.
//
// What is fetched stays in the user's cache directory, in rafka-test-clients.
//
// What is missing is skipped, and the skip says what. RAFKA_CLIENTS_MB sets the size of the large file in MiB (300).
package clients
