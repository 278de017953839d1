package kafkasrv

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// endpoint is where a client is told to reach a broker.
type endpoint struct {
	host string
	port int32
}

// inMemory is what clients on a connection without an address are told: they bring their own way to dial.
var inMemory = endpoint{host: "localhost", port: 9092}

// endpointOf tells where a client on this connection reaches the broker b; ok is false if b has no address on the client's listener.
//
// The address is the one that b advertises for the listener by which the client came (advertised.listeners). If it advertises none, or
// one without a host, and b is this broker, it is the address that the client itself has connected to: whoever came by 127.0.0.1 is
// sent there, whoever came by a container's or a machine's outer address is sent to that. This works without any setting as long as
// the client's packets are not redirected on their way; if a port is mapped to another one, only advertised.listeners can tell.
func endpointOf(b *metadata.Broker, self kafka.BrokerID, listener string, local net.Addr) (e endpoint, ok bool) {
	for i := range b.Endpoints {
		if at := &b.Endpoints[i]; at.Listener == listener && at.Host != "" {
			return endpoint{at.Host, at.Port}, true
		}
	}
	if b.ID != self {
		return endpoint{}, false
	}
	tcp, isTCP := local.(*net.TCPAddr)
	if !isTCP {
		return inMemory, true
	}
	ip, valid := netip.AddrFromSlice(tcp.IP)
	if !valid {
		return inMemory, true
	}
	return endpoint{ip.Unmap().WithZone(tcp.Zone).String(), int32(tcp.Port)}, true
}

// peerEndpointOf tells where another broker reaches b.
func peerEndpointOf(b *metadata.Broker) (e endpoint, ok bool) {
	if len(b.Peers) == 0 {
		return endpoint{}, false
	}
	host, text, err := net.SplitHostPort(b.Peers[0])
	if err != nil {
		return endpoint{}, false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return endpoint{host, int32(port)}, err == nil
}

// endpointFor is endpointOf for the client of this request.
func (r *request) endpointFor(b *metadata.Broker) (endpoint, bool) {
	if r.session.Peer {
		return peerEndpointOf(b)
	}
	return endpointOf(b, r.conn.srv.opts.NodeID, r.session.Listener, r.conn.nc.LocalAddr())
}

// eachBroker goes through the brokers that are alive and that the client can reach, by id.
func (r *request) eachBroker(img *metadata.Image, each func(b *metadata.Broker, at endpoint)) {
	for _, id := range sortedBrokers(img) {
		b := img.Brokers[id]
		if b.Fenced {
			continue
		}
		if at, ok := r.endpointFor(b); ok {
			each(b, at)
		}
	}
}

// reachable are the brokers of an image that eachBroker goes through for a client.
type reachable struct {
	img *metadata.Image
	ids map[kafka.BrokerID]bool
}

func (r *request) reachable(img *metadata.Image) reachable {
	to := reachable{img, make(map[kafka.BrokerID]bool, len(img.Brokers))}
	r.eachBroker(img, func(b *metadata.Broker, _ endpoint) { to.ids[b.ID] = true })
	return to
}

// leader is the leader of a partition that the client can be sent to, or NoBroker and why there is none.
func (to reachable) leader(p *metadata.Partition) (kafka.BrokerID, kafka.ErrorCode) {
	if to.ids[p.Leader] {
		return p.Leader, kafka.None
	}
	if b := to.img.Brokers[p.Leader]; b != nil && !b.Fenced {
		return kafka.NoBroker, kafka.ListenerNotFound
	}
	return kafka.NoBroker, kafka.LeaderNotAvailable
}

// offline are those of a partition's replicas that are on no broker that the client can be sent to.
func (to reachable) offline(replicas []kafka.BrokerID) (off []int32) {
	for _, id := range replicas {
		if !to.ids[id] {
			off = append(off, int32(id))
		}
	}
	return off
}

// online are the others.
func (to reachable) online(replicas []kafka.BrokerID) []int32 {
	on := make([]int32, 0, len(replicas))
	for _, id := range replicas {
		if to.ids[id] {
			on = append(on, int32(id))
		}
	}
	return on
}
