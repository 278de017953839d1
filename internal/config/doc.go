// Package config is the one table of settings: name, type, default, valid values, scope and meaning, and the ways settings come in
// (flags, environment, YAML, server.properties). Validation, DescribeConfigs, help and the reference page come from the table.
// app, broker, controller and the command line call it; it calls nothing of ours but kafka. It reads no file and no environment: the
// caller hands in what is in them.
//
// What holds:
//
//	CFG-1  A key that is not in the table is refused, with where it stands and what was perhaps meant; nothing is ignored silently.
//	CFG-2  Names, types, defaults and valid values of Kafka's keys are those of Kafka 4.4, but for the defaults that ourDefaults in the
//	       tests lists.
//	CFG-3  A value is validated before it becomes part of a Static or of the metadata, so the typed getters cannot fail.
//	CFG-4  Precedence: defaults < files in their order < KAFKA_* < RAFKA_* < flags; above them the dynamic settings of the cluster, of
//	       the broker and of the resource.
//	CFG-5  The value of a sensitive key (passwords, private keys) is in no error, notice or description.
//
// How it is tested: the table against the facts of Kafka 4.4 in testdata, Kafka's error texts, transcripts of files to settings, fuzzing of
// the parsers and validators, and the reference page, which a test renders again.
//
// Files: key, table and table_* are the table; valid and check judge values; suggest finds what was meant; load, source_env,
// source_properties and source_yaml read sources into a Static (static, listeners); effective resolves a setting through its layers, topic and
// durability are what it means to a topic; reference renders the page.
package config
