// Package rafkatest gives a Go test a real broker in one call: the same code as the server, in this process, on a free port or over
// connections in memory, cleaned up when the test ends.
//
//	func TestOrders(t *testing.T) {
//		broker := rafkatest.Start(t)
//		client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr))
//		…
//	}
package rafkatest
