package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// clientVariables belong to the command line, not to the broker.
var clientVariables = []string{"RAFKA_BROKERS", "RAFKA_PASS", "RAFKA_USER"}

// foreign are variables that Kafka's images and scripts know and that have nothing to act on here.
var foreign = regexp.MustCompile(`^KAFKA_(HEAP_OPTS|OPTS|JMX_.*|LOG4J_.*|GC_LOG_OPTS|JVM_PERFORMANCE_OPTS|DEBUG|HOME|VERSION|TOOLS_.*|REST_.*|SSL_.*_(FILENAME|CREDENTIALS))$`)

// kubernetes gives every container the addresses of the services around it in such variables; a service may be called kafka or rafka.
var kubernetes = regexp.MustCompile(`^[RK]AFKA(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_[0-9]+_(TCP|UDP).*)$|^[RK]AFKA_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_[0-9]+_(TCP|UDP).*)$`)

// fromEnvironment reads KAFKA_* as the apache/kafka image maps them (KAFKA_LOG_RETENTION_MS is log.retention.ms, __ is _, ___ is -) and as
// Bitnami's does (KAFKA_CFG_), and RAFKA_* in the same way, where the prefix rafka. of our own keys need not be repeated. KAFKA_ variables
// that name no key are left alone with a notice, for other programs use that prefix too; RAFKA_ is ours, so there an unknown key is an error.
func fromEnvironment(env []string) (entries []entry, notices []Notice) {
	env = slices.Clone(env)
	slices.Sort(env) // KAFKA_ before RAFKA_, which goes before it
	var without, strangers []string
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		origin := "environment variable " + name
		switch {
		case name == "CLUSTER_ID", name == "KAFKA_CLUSTER_ID", name == "KAFKA_KRAFT_CLUSTER_ID":
			entries = append(entries, entry{"rafka.cluster.id", value, origin})
		case foreign.MatchString(name):
			without = append(without, name)
		case slices.Contains(clientVariables, name), kubernetes.MatchString(name):
		case strings.HasPrefix(name, "KAFKA_"):
			key := envKey(strings.TrimPrefix(strings.TrimPrefix(name, "KAFKA_"), "CFG_"))
			if _, ok := Lookup(Broker, key); !ok && whyRemoved(key) == "" {
				strangers = append(strangers, name)
				continue
			}
			entries = append(entries, entry{key, value, origin})
		case strings.HasPrefix(name, "RAFKA_"):
			key := envKey(strings.TrimPrefix(name, "RAFKA_"))
			_, plain := Lookup(Broker, key)
			if _, ours := Lookup(Broker, "rafka."+key); ours && !plain {
				key = "rafka." + key
			}
			entries = append(entries, entry{key, value, origin})
		}
	}
	if len(without) > 0 {
		notices = append(notices, Notice{without, "variables for the Java virtual machine or Kafka's images, without an effect here: " + strings.Join(without, ", ")})
	}
	for _, name := range strangers {
		text := fmt.Sprintf("%s names no key and was left alone", name)
		if near := Suggest(Broker, envKey(strings.TrimPrefix(name, "KAFKA_"))); near != "" {
			text += ": did you mean " + near + "?"
		}
		notices = append(notices, Notice{[]string{name}, text})
	}
	return entries, notices
}

// envKey undoes the mapping of names: three underscores are a dash, two an underscore, one a dot.
func envKey(name string) string {
	return strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(name))
}
