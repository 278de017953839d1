package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// choice is a flag that takes one of a few words; others are refused when the command line is parsed.
type choice struct {
	value   string
	allowed []string
}

func oneOf(value string, others ...string) choice {
	return choice{value, append([]string{value}, others...)}
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.allowed, "|") }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(c.allowed, ", "))
	}
	c.value = s
	return nil
}

// complete offers the words of flag name to the shell.
func (c *choice) complete(cmd *cobra.Command, name string) {
	// The error means that the flag does not exist, which the tests of that command would notice first.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.allowed, cobra.ShellCompDirectiveNoFileComp))
}

// keyValues are repeated flags of the form key=value.
type keyValues []keyValue

type keyValue struct{ key, value string }

func (kv *keyValues) String() string { return "" }
func (kv *keyValues) Type() string   { return "key=value" }
func (kv *keyValues) Set(s string) error {
	k, v, ok := strings.Cut(s, "=")
	if !ok || k == "" {
		return fmt.Errorf("want key=value")
	}
	*kv = append(*kv, keyValue{k, v})
	return nil
}
