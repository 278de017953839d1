package broker

// Session says who asks: one per connection, made by the door.
type Session struct {
	Door     string // kafka, text, grpc, http
	ClientID string
	Software string // name and version from ApiVersions
	Host     string // the peer's address without port
	Listener string // the listener it came in by: its advertised addresses are the ones it is told
	// Peer: another broker of the cluster, by the peer port. Only such a session may say that it is a follower (REP-4).
	Peer bool
}
