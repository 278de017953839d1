// Package httpsrv serves metrics for Prometheus, health for supervisors, profiles on request, the broker's last decisions, comparisons of replicas, and a small status page.
// internal/app gives it a listener and the sources of its numbers; it calls replica's counters, reads the metadata image and the groups.
//
// What holds:
//
//	HTP-1  A scrape reads memory only: it opens no log, and its cost and the number of its series are bounded whatever the number of
//	       topics, partitions and groups. What was left out is counted. The one exception: the lag in seconds needs the record at the committed
//	       offset, so at most every five seconds a bounded number of records is read, of logs that are in use.
//	HTP-2  Every number is what the broker does; what is not known is left out, never made up.
//	HTP-3  /readyz says 503 with the reasons until the broker can serve, and again while it stops.
//	HTP-4  Profiles are served only when asked for; every connection has deadlines and a bounded header.
//
// How it is tested: requests to a real server, the page parsed back and compared with its sources, a scrape of
// ten thousand partitions whose engine fails the test when it is used.
//
// Files: server.go, health.go, explain.go, verify.go, status_page.go; sources.go, replicas.go and groups.go (where numbers come from); collector.go with
// collect_broker.go, collect_topics.go, collect_groups.go and collect_doors.go.
package httpsrv
