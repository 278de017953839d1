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
//	TXT-5  All goroutines of a connection have ended when Serve returns: one reads, one answers, and one for each queue that it takes
//	       from keeps up the membership.
//	TXT-6  What a connection takes from a queue is its own until it is settled, its lock runs out or the connection ends; then it is
//	       given back at once, and the connection's members have left their groups.
//
// A queue is a share group. A connection is a member of its own for each topic that it takes from, under one Session for all: the broker
// gives back what a Session holds. Offsets of consumer groups are committed as somebody outside the group.
//
// How it is tested: conversations over real sockets with the broker in memory and, for groups and queues, with the whole broker; the
// guide's transcript; fuzz targets for lines and commands.
//
// Files: server.go, connection.go (the two goroutines), backlog.go (what waits between them), line.go (reading), command*.go and
// escape.go (parsing), produce.go, consume.go, topics.go, commit.go, groups.go, help.go (answering), queue_*.go (memberships,
// TAKE, ACK and its like, PEEK), json.go.
package textsrv
