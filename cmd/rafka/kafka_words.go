package main

import "github.com/spf13/pflag"

// kafkaWords lets people who know Kafka's tools use their names of flags; help and completion show ours.
func kafkaWords(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "bootstrap-server":
		name = "brokers"
	case "replication-factor":
		name = "replicas"
	}
	return pflag.NormalizedName(name)
}
