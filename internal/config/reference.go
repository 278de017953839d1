package config

import (
	"fmt"
	"strings"
)

// Reference renders the page docs/reference/configuration.md from the table: first the keys that act, then the others.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, part := range []struct {
		scope Scope
		title string
	}{
		{Topic, "Topics"}, {Broker, "Broker"}, {Group, "Groups"}, {ClientMetrics, "Client metrics"},
	} {
		fmt.Fprintf(&b, "\n## %s\n", part.title)
		for _, tier := range []struct {
			tier  Tier
			title string
		}{
			{Acts, "Keys that act"},
			{Planned, "Accepted, without an effect in this release"},
			{Ignored, "Accepted, never with an effect"},
			{Refused, "Refused, unless they have their default"},
		} {
			writeTier(&b, part.scope, tier.tier, tier.title)
		}
	}
	return b.String()
}

const referenceHead = `# Configuration

This page is rendered from the table in internal/config (` + "`go test ./internal/config -run Reference -rewrite`" + `); change it there.

Settings come from, weakest first: the defaults, a file (` + "`--config`" + `: YAML, where nested keys are joined by dots, or Java's
server.properties), the environment (` + "`KAFKA_*` as the apache/kafka image maps it, then `RAFKA_*`" + `: one underscore is a dot, two are an
underscore, three a dash), and flags (` + "`--set key=value`" + `). Above them are the settings that are changed while brokers run. A key that is not
listed here is refused, with what was perhaps meant; a ` + "`KAFKA_*`" + ` variable that names no key is left alone with a notice.

"Changes" says whether a broker's key can change while it runs: for one broker (per-broker), for one or all (cluster-wide), or only with a
restart (read-only). A topic's key that is not set has the value of the broker's key in the column "Broker".
`

func writeTier(b *strings.Builder, scope Scope, tier Tier, title string) {
	var keys []*Key
	for _, k := range sorted[scope] {
		if k.Tier == tier {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n", title)
	last := "Broker"
	if scope == Broker {
		last = "Changes"
	}
	meaning, line := "", ""
	if tier == Acts {
		meaning, line = " What it does |", " --- |"
	}
	fmt.Fprintf(b, "| Key | Type | Default | Valid | %s |%s\n| --- | --- | --- | --- | --- |%s\n", last, meaning, line)
	for _, k := range keys {
		value := strings.Join(k.Broker, ", ")
		if scope == Broker {
			value = k.Mode.String()
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |", k.Name, strings.ToLower(k.Type.String()), defaultCell(k), cell(k.Valid), cell(value))
		if tier == Acts {
			fmt.Fprintf(b, " %s |", cell(k.Doc))
		}
		b.WriteByte('\n')
	}
}

func defaultCell(k *Key) string {
	switch {
	case k.AliasOf != "":
		return "(another name of `" + k.AliasOf + "`)"
	case k.Name == "log.dir":
		return "the platform's place for data, such as `~/.local/share/rafka`"
	case k.NoDefault:
		return "null"
	case k.Default == "":
		return "(empty)"
	}
	return "`" + k.Default + "`"
}

// cell is text that cannot end its cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
