// Command rafka is the broker and the command line of Rafka in one binary.
// Bare `rafka` starts a server; every other verb is a client of any Kafka-compatible cluster.
//
// One verb lives in one file, named after it. What the verbs share:
//
//	main.go      root, exit codes          connect.go   --brokers, -X, --timeout; opening a client
//	usage.go     wrong usage, suggestions  properties.go  what -X key=value may say
//	output.go    --format text|json|yaml   explain.go   errors with what to do about them
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
// How it is tested: scripts in testdata/script against franz-go's fake broker.
package main
