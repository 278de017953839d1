package main

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// retention.ms takes its default from log.retention.hours: a bare 168 beside milliseconds would mislead. segment.bytes takes it from a key in
// the same unit, which nobody needs to know.
func TestDefaultInAnotherUnitNamesItsKey(t *testing.T) {
	for _, c := range []struct{ key, of, value, want string }{
		{"retention.ms", "log.retention.hours", "168", "log.retention.hours=168"},
		{"segment.bytes", "log.segment.bytes", "1073741824", "1073741824"},
	} {
		described := kmsg.NewDescribeConfigsResponseResourceConfig()
		described.Name = c.key
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Value, s.Source = c.of, &c.value, kmsg.ConfigSourceDefaultConfig
		described.ConfigSynonyms = append(described.ConfigSynonyms, s)
		if got := shownDefault(viewConfig(described)); got != c.want {
			t.Errorf("%s: %q, want %q", c.key, got, c.want)
		}
	}
}
