package httpsrv

var (
	connectionCount   = describe("kafka_server_socket_server_metrics_connection_count", "Open connections of a door.", "listener")
	activeConnections = describe("rafka_active_connections", "Open connections of a door.", "door")
	connectionErrors  = describe("rafka_connection_errors_total", "Connections that ended by a fault of the peer or the network.", "door")
	activeConsumers   = describe("rafka_active_consumers", "Streams of records under way.", "door")
	consumed          = describe("rafka_messages_consumed_total", "Records given to consumers, by the doors that look into batches.", "door")
	failures          = describe("rafka_failed_calls_total", "Commands or calls answered with an error.", "door")
	publishLatency    = describe("rafka_publish_latency_seconds", "From a message's arrival until it was as durable as asked.", "door")
	consumeLatency    = describe("rafka_consume_latency_seconds", "Age of records when a consumer that had caught up was given them, by their own timestamps.", "door")
	requests          = describe("kafka_network_requestmetrics_requests_total", "Requests of a Kafka API.", "request")
	responseLatency   = describe("rafka_broker_response_latency_seconds", "From a request's arrival until its answer was written; a fetch includes the time it was asked to wait.", "request")
)

func (c *collector) collectDoors(p page) {
	if c.sources.Doors != nil {
		for _, d := range c.sources.Doors() {
			p.gauge(connectionCount, float64(d.Connections), d.Name)
			p.gauge(activeConnections, float64(d.Connections), d.Name)
			p.counter(connectionErrors, float64(d.ConnectionErrors), d.Name)
			if d.Consumers >= 0 {
				p.gauge(activeConsumers, float64(d.Consumers), d.Name)
			}
			if d.Delivered >= 0 {
				p.counter(consumed, float64(d.Delivered), d.Name)
			}
			if d.Failures >= 0 {
				p.counter(failures, float64(d.Failures), d.Name)
			}
			if d.Publish != nil {
				p.histogram(publishLatency, *d.Publish, d.Name)
			}
			if d.Consume != nil {
				p.histogram(consumeLatency, *d.Consume, d.Name)
			}
		}
	}
	if c.sources.APIs != nil {
		for _, a := range c.sources.APIs() {
			p.counter(requests, float64(a.Requests), a.Name)
			p.histogram(responseLatency, a.Latency, a.Name)
		}
	}
}
