// Package mesh is the gossip between brokers: each hears within a second or two that another one is silent, and what each has to do.
// app starts it beside the peer port; it calls memberlist, and nobody that depends on it for anything but speed.
//
// Packets go over UDP at the number of the peer port, streams over the peer port itself, where the first bytes tell them (cluster/peer). Neither is encrypted, and
// who sends is believed what it says: the port belongs into a network where only brokers are. Packets of other clusters are dropped, because each
// bears the cluster's id.
//
// What holds:
//
//	MSH-1  Gossip never changes replicated state; it may only shorten the time until something else looks. Who is said to be silent is probed by the
//	       controller, and fenced only when its process is gone or its lease has ended.
//	MSH-2  Nothing waits for gossip: without it, or with a network that lets no UDP through, the cluster does the same a little later.
//	MSH-3  What others send is bounded before it is kept: 8 KiB for a packet, 64 bytes for a load, 512 brokers, 64 streams at a time.
//
// Goroutines, all ended when Close returns: one that reads packets, one that looks for seeds and tells the own load; memberlist has its own.
// Locks: Mesh.mu and transport.mu are leaves.
//
// How it is tested: meshes on real loopback sockets that find each other by one seed, hear each other's load, hear of one that ended without a
// word, and do not hear those of another cluster (MSH-3); fuzzed decoder; in test/crash the real binary.
//
// Files: mesh.go (the mesh), transport.go (packets and streams), load.go (what is told), seeds.go (names into addresses).
package mesh
