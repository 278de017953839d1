// Package textsrv is the line protocol: one command a line, for people with nc and programs without a client.
// internal/app gives it the connections whose first byte is no Kafka frame; it calls the verbs of broker.
// docs/guide/nc.md shows every command.
//
// What holds:
//
//	TXT-1  Commands of a connection are carried out and answered in the order they came; messages published one after another
//	       wait together for the disk.
//	TXT-2  Keys and values survive byte for byte: whatever cannot stand in a line has an escape, and JSON or base64 on the way out.
//	TXT-3  A connection holds bounded memory whatever it sends and however slowly it reads, and slows down nobody else.
//	TXT-4  Every command gets an answer that says how it ended; an error says what to do.
//	TXT-5  Both goroutines of a connection have ended when Serve returns: one reads, one answers.
//
// How it is tested: conversations over real sockets and the broker in memory, the guide's transcript, a fuzz target for the parser.
//
// Files: server.go, connection.go (the two goroutines), backlog.go (what waits between them), line.go (reading), command.go and
// escape.go (parsing), produce.go, consume.go, topics.go, help.go (answering), json.go.
package textsrv
