package kafkasrv

import (
	"net"
	"testing"

	"github.com/rafka-io/rafka/internal/metadata"
)

func TestEndpointIsWhereTheClientConnected(t *testing.T) {
	tcp := func(ip string, port int, zone string) net.Addr {
		return &net.TCPAddr{IP: net.ParseIP(ip), Port: port, Zone: zone}
	}
	self := &metadata.Broker{ID: 1}
	set := &metadata.Broker{ID: 1, Endpoints: []metadata.Endpoint{{Listener: "IN", Host: "a.example", Port: 1}, {Listener: "OUT", Host: "b.example", Port: 2}, {Listener: "ANY"}}}
	other := &metadata.Broker{ID: 2, Endpoints: []metadata.Endpoint{{Listener: "IN", Host: "c.example", Port: 3}}}
	for _, c := range []struct {
		name, listener string
		broker         *metadata.Broker
		local          net.Addr
		want           endpoint
		ok             bool
	}{
		{"loopback", "", self, tcp("127.0.0.1", 9092, ""), endpoint{"127.0.0.1", 9092}, true},
		{"IPv6 loopback", "", self, tcp("::1", 9092, ""), endpoint{"::1", 9092}, true},
		{"IPv4 on an IPv6 socket", "", self, tcp("::ffff:172.17.0.2", 9092, ""), endpoint{"172.17.0.2", 9092}, true},
		{"link-local", "", self, tcp("fe80::1", 9092, "eth0"), endpoint{"fe80::1%eth0", 9092}, true},
		{"in memory", "", self, &net.UnixAddr{Name: "pipe"}, inMemory, true},
		{"advertised", "OUT", set, tcp("127.0.0.1", 9092, ""), endpoint{"b.example", 2}, true},
		{"advertised for the other listener", "IN", set, tcp("127.0.0.1", 9092, ""), endpoint{"a.example", 1}, true},
		{"advertised without a host", "ANY", set, tcp("10.0.0.1", 9093, ""), endpoint{"10.0.0.1", 9093}, true},
		{"another broker", "IN", other, tcp("127.0.0.1", 9092, ""), endpoint{"c.example", 3}, true},
		{"another broker that is not on this listener", "OUT", other, tcp("127.0.0.1", 9092, ""), endpoint{}, false},
	} {
		if got, ok := endpointOf(c.broker, 1, c.listener, c.local); got != c.want || ok != c.ok {
			t.Errorf("%s: %v %t, want %v %t", c.name, got, ok, c.want, c.ok)
		}
	}
}
