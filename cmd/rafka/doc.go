// Command rafka is the broker and the command line of Rafka in one binary.
// Bare `rafka` starts a server; every other verb is a client of any Kafka-compatible cluster.
//
// One verb lives in one file, named after it. What the verbs share:
//
//	main.go      root, exit codes          connect.go   --brokers, -X, --timeout; opening a client
//	usage.go     wrong usage, suggestions  properties.go  what -X key=value may say
//	output.go    --format text|json|yaml   explain.go   errors with what to do about them
//	wait.go      --wait, progress          elect.go     elections of leaders
//
// `dev cluster` starts brokers as processes of its own: dev_nodes.go plans directories and ports, dev_process.go runs one, dev_child_*.go are
// what systems do differently. cluster_ask.go asks each broker by itself.
//
// What verbs of groups share: group_view.go (a group of any type), group_load*.go, group_lag.go (lag in records and seconds), record_at.go.
// `share` is `group` for one type; `queue` sends, receives and redrives; `explain_command.go` begins the verb that explains, in words.
//
// The packages under internal/ are pure: percent (record templates), offsetspec (--offset), framing (records from a byte
// stream), histogram (percentiles).
//
// What holds:
//
//	CLI-1  Exit code 0: done; 1: the operation failed; 2: wrong usage, and then nothing was attempted.
//	CLI-2  Results go to stdout, everything else (progress, notes, errors) to stderr.
//	CLI-3  Input and records are streamed: memory does not grow with the size of a file or topic.
//	CLI-4  Keys and values are bytes: nothing is decoded, trimmed or re-encoded on the way, except in JSON, which says so.
//
//	CLI-5  What changes offsets, transactions or records can be seen first with --dry-run, which changes nothing.
//	CLI-6  A dead letter counts as redriven only when its copy is acknowledged.
//	CLI-7  What moves replicas is done by the cluster, not by the command: interrupting the command stops nothing, and running it again goes on.
//
// How it is tested: scripts, those in testdata/script against franz-go's fake broker, those in testdata/rafka against Rafka, those in
// testdata/both against the two, those in testdata/cluster against a `dev cluster` of three processes; tables for what computes.
package main
