package httpsrv

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rafka-io/rafka/internal/broker"
)

// collector turns the sources into metrics at each scrape. It keeps nothing between two.
type collector struct {
	sources       Sources
	maxTopics     int
	maxPartitions int
	version       string
	now           func() time.Time
}

// describe makes the description of a metric and remembers it, so that Describe knows them all.
func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

// descriptions is written by the package's variables only.
var descriptions []*prometheus.Desc

// Describe names every metric there can be.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		to <- d
	}
}

// Collect reads the sources.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	p := page{to}
	img := c.sources.Image()
	c.collectBroker(p, img)
	if c.sources.Replicas != nil {
		c.collectReplicas(p)
	}
	c.collectTopics(p, img)
	if c.sources.Groups != nil {
		c.collectGroups(p)
	}
	c.collectDoors(p)
}

// page is a scrape under way.
type page struct{ to chan<- prometheus.Metric }

func (p page) gauge(d *prometheus.Desc, v float64, labels ...string) {
	p.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (p page) counter(d *prometheus.Desc, v float64, labels ...string) {
	p.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (p page) histogram(d *prometheus.Desc, l broker.LatencyCounts, labels ...string) {
	p.to <- prometheus.MustNewConstHistogram(d, l.Count, l.Sum, l.Buckets, labels...)
}

// fact is 1 or 0.
func fact(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
