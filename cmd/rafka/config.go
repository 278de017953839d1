package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configCommand is what the verbs under `config` share.
type configCommand struct {
	connection
	output
}

func newConfigCommand(getenv func(string) string) *cobra.Command {
	cmd := group("config", "Show and change the configuration of topics and brokers")
	cmd.Long = `Show and change the configuration of topics and brokers.

A RESOURCE is topic/NAME, group/NAME (a consumer, share or streams group), broker/ID (one broker), or broker (what is set for all
brokers of the cluster).`
	c := &configCommand{connection: connection{getenv: getenv}}
	c.connection.register(cmd)
	c.output.register(cmd)
	cmd.AddCommand(newConfigList(c), newConfigGet(c), newConfigSet(c))
	return cmd
}

// resource is a thing with a configuration.
type resource struct {
	kind kmsg.ConfigResourceType
	name string // "" for all brokers
}

func (r resource) String() string {
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		return "topic/" + r.name
	case kmsg.ConfigResourceTypeGroupConfig:
		return "group/" + r.name
	}
	if r.name == "" {
		return "broker"
	}
	return "broker/" + r.name
}

func parseResource(s string) (resource, error) {
	kind, name, hasName := strings.Cut(s, "/")
	switch {
	case kind == "topic" && name != "":
		return resource{kmsg.ConfigResourceTypeTopic, name}, nil
	case kind == "group" && name != "":
		return resource{kmsg.ConfigResourceTypeGroupConfig, name}, nil
	case kind == "broker" && !hasName:
		return resource{kind: kmsg.ConfigResourceTypeBroker}, nil
	case kind == "broker":
		if _, err := strconv.ParseInt(name, 10, 32); err == nil {
			return resource{kmsg.ConfigResourceTypeBroker, name}, nil
		}
	}
	return resource{}, usagef("resource %q is none of topic/NAME, group/NAME, broker/ID, broker", s)
}
