package httpsrv

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write docs/ops/metrics.md anew")

// described is how a prometheus.Desc prints itself, which is the only way to ask it.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

// notYet are metrics that this release's broker has no source for (internal/app), so they are not on its page.
var notYet = []string{"rafka_storage_errors_total", "rafka_storage_oldest_message_age_seconds"}

// The page in the documentation lists every metric there can be, with its labels and its meaning, and no other.
func TestMetricsPageIsComplete(t *testing.T) {
	const file = "../../../docs/ops/metrics.md"
	const head = `# Metrics

HTTP (` + "`rafka.http.address`, by default `127.0.0.1:8080`" + `) serves ` + "`/metrics`" + ` for Prometheus. The list below is rendered from the code
(` + "`go test ./internal/server/httpsrv -run MetricsPage -rewrite`" + `); change it there. Beside it stand the usual ` + "`go_*` and `process_*`" + `.

A scrape reads memory only and opens no log. At most 1,000 topics and 2,000 partitions have series of their own, the smallest topics
first; what was left out is counted by ` + "`rafka_metrics_omitted_*`" + `, and the traffic of topics without series of their own is summed under
` + "`topic=\"(other)\"`" + `. What is not known yet, such as the size of a log that was not used since the start, is left out, never made up.

Groups are gathered at most every five seconds; 1,000 of them have series of their own, and 5,000 committed offsets of all groups together. A lag is told
by the broker that coordinates the group, for the partitions that it leads. The lag in seconds is the age of the first record that is not
consumed; it takes a read for each committed offset that moved, 500 at a time at most, so right after a start it may be missing for some.

Names that begin with ` + "`kafka_`" + ` are those that dashboards for Kafka (its JMX exporter, kafka_exporter) expect.

| metric | labels | meaning |
|---|---|---|
`
	var rows []string
	for _, d := range descriptions {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s prints itself in another way now", d)
		}
		if slices.Contains(notYet, m[1]) {
			continue
		}
		labels := strings.ReplaceAll(m[3], ",", ", ")
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], labels, strings.ReplaceAll(m[2], `\"`, `"`)))
	}
	slices.SortFunc(rows, func(a, b string) int { // our own names first
		return cmp.Or(cmp.Compare(b[3:4], a[3:4]), cmp.Compare(a, b))
	})
	want := head + strings.Join(rows, "")
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the code says; render it with -rewrite (%v)", file, err)
	}
}
