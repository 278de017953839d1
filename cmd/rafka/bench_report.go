package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rafka-io/rafka/cmd/rafka/internal/histogram"
)

// benchReport is what a benchmark found.
type benchReport struct {
	Benchmark   string        `json:"benchmark"`
	Topic       string        `json:"topic"`
	Partitions  int           `json:"partitions"`
	Clients     int           `json:"clients"`
	Acks        string        `json:"acks,omitempty"`
	Compression string        `json:"compression,omitempty"`
	Records     int64         `json:"records"`
	Bytes       int64         `json:"bytes"`
	Seconds     float64       `json:"seconds"`
	MBPerSecond float64       `json:"mb_per_second"` // 10^6 bytes of values, as Kafka's and other tools count
	PerSecond   float64       `json:"records_per_second"`
	Latency     []latencyView `json:"latency"`
}

// latencyView are percentiles in milliseconds.
type latencyView struct {
	What  string  `json:"what"`
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	Max   float64 `json:"max_ms"`
}

func (r *benchReport) measured(records, bytes int64, took time.Duration) {
	r.Records, r.Bytes, r.Seconds = records, bytes, took.Seconds()
	r.MBPerSecond, r.PerSecond = float64(bytes)/1e6/r.Seconds, float64(records)/r.Seconds
}

func viewLatency(what string, h *histogram.Histogram) latencyView {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return latencyView{what, h.Count(), ms(h.Mean()), ms(h.Percentile(50)), ms(h.Percentile(90)), ms(h.Percentile(99)),
		ms(h.Percentile(99.9)), ms(h.Max())}
}

func printReport(tb *table, r *benchReport) {
	setup := fmt.Sprintf("%d partitions, %d clients", r.Partitions, r.Clients)
	if r.Acks != "" {
		setup += ", acks " + r.Acks + ", compression " + r.Compression
	}
	tb.row(r.Benchmark, r.Topic, setup)
	tb.section("THROUGHPUT")
	tb.row("RECORDS", "BYTES", "SECONDS", "MB/S", "RECORDS/S")
	tb.row(r.Records, bytesText(r.Bytes), fmt.Sprintf("%.2f", r.Seconds), fmt.Sprintf("%.1f", r.MBPerSecond), fmt.Sprintf("%.0f", r.PerSecond))
	tb.section("LATENCY (ms)")
	tb.row("OF", "MEAN", "P50", "P90", "P99", "P99.9", "MAX")
	for _, l := range r.Latency {
		cells := []any{l.What}
		for _, v := range []float64{l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
			cells = append(cells, fmt.Sprintf("%.3f", v))
		}
		tb.row(cells...)
	}
}

// liveLine redraws one line on a terminal twice a second until stop is called, which waits for the end of its goroutine and
// wipes the line. Where w is no terminal it draws nothing.
func liveLine(w io.Writer, line func() string) (stop func()) {
	if !isTerminal(w) {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(w, "\r%-79.79s", line())
			case <-done:
				fmt.Fprintf(w, "\r%s\r", strings.Repeat(" ", 79))
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// throughputLine is the live line of all benchmarks: what was done since the last time it was asked, and since the start.
func throughputLine(verb string, records, bytes func() int64) func() string {
	start := time.Now()
	last, lastRecords, lastBytes := start, int64(0), int64(0)
	return func() string {
		now, n, b := time.Now(), records(), bytes()
		took := now.Sub(last).Seconds()
		s := fmt.Sprintf("%s %d records, %.1f MB/s, %.0f records/s, %s", verb, n, float64(b-lastBytes)/1e6/took,
			float64(n-lastRecords)/took, now.Sub(start).Round(time.Second))
		last, lastRecords, lastBytes = now, n, b
		return s
	}
}
