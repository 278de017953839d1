// Package kafkasrv is the Kafka door: it reads requests from a connection, calls one verb of the broker for each and writes the answers.
// server/listen hands it connections; it calls broker for everything that has an effect and wire for bytes.
//
// What holds:
//
//	SRV-1  Answers leave in request order per connection.
//	SRV-2  The bytes of frames that are held stay within the budget, and are reserved before a body is read.
//	SRV-3  At most two goroutines per connection, both gone when Serve returns; one that is idle for a while has one.
//	SRV-5  A produce with acks=0 gets no answer; if it fails, the connection closes.
//	SRV-6  What a request can make this package allocate is bounded by what is really in it and in the metadata image.
//	WIR-2  Versions advertised = versions decoded = versions handled: the table in apis.go is the only list. One exception,
//	       Kafka's too: Produce is advertised from version 0 on (18_api_versions.go says why).
//
// A connection's two goroutines take turns. One holds the reading role: it reads a frame, and for a produce appends it (so appends
// happen in the order of the requests, and many wait for the disk together). Then it queues the request; if nobody is writing, it
// hands the reading role to the other goroutine and becomes the writer: it waits for the request's effects, writes the answer, and
// goes on until the queue is empty. So the goroutine that was woken by the client also answers it, and waking the other one is not
// on the way of the answer. (A fixed reader and a fixed writer cost a wake-up before every answer.)
//
// Everything but the append of a produce happens at the request's turn to be answered, in the writer: one connection holds at most one
// decoded request and one encoded answer. A member that waits for its group (JoinGroup, SyncGroup), or for records, may wait for minutes:
// it holds neither a frame nor the gate for answers meanwhile, a drain ends its wait, and so does the end of its connection, for which a
// reader must be reading: who fills the queue behind such a wait is sent away.
//
// A connection of another broker (ServePeer) is served the same way. Its session says so, and only there a replica id counts (REP-4).
//
// How it is tested: real clients and raw bytes over loopback against an in-memory broker (broker_test.go); every API in every
// version against another implementation's encoder; golden ApiVersions; bad input of all kinds; fuzzing of every decoder.
//
// Files: server.go conn.go queue.go the loops, request.go decoding, out.go writing, watch.go closing the idle and the slow, hang_up.go
// how a drained connection ends, apis.go the table, broker.go and broker_groups.go the verbs, shapes.go and shapes_*.go how requests are laid
// out, fetch_session.go sessions (KIP-227), fetch_answer.go records between encoded pieces, endpoint.go and leaders.go what clients are told to
// connect to, answers.go and operations.go what answers share, stats.go counters, and one file per API named by its key.
package kafkasrv
