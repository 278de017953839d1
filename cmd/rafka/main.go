package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// streams are what the process is given; a test gives its own.
type streams struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

func main() {
	// The first signal asks the verb to end cleanly. From then on signals act as usual, so a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr, os.Getenv})
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code (CLI-1).
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s.getenv)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)

	// Cobra reports bad commands, flags and arguments before it calls any hook, so an error before this hook is wrong usage.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var wrong *usageError
	if started && !errors.As(err, &wrong) {
		fmt.Fprintf(s.err, "rafka: %v\n", err)
		return 1
	}
	fmt.Fprintf(s.err, "rafka: %v\nRun `%s --help` for usage.\n", err, cmd.CommandPath())
	return 2
}

const rootHelp = `Rafka is a Kafka-compatible broker in one binary, and the command line to go with it.

Without a command it starts a server, just as "rafka serve" does. The other commands are clients: they talk to this
broker or to any other that speaks Kafka's protocol.

Exit codes:
  0  done
  1  the operation failed
  2  wrong usage; nothing was attempted

Environment:
  RAFKA_BROKERS  addresses to connect to when --brokers is not given
  RAFKA_PASS     password when -X pass=... is not given, so that it does not show in a process list`

func newRoot(getenv func(string) string) *cobra.Command {
	root := newServeCommand()
	root.Use = "rafka"
	root.Short = "Kafka-compatible broker and command line"
	root.Long = rootHelp
	root.Example = `  rafka                                   # start a server on 127.0.0.1:9092, data in the default directory
  rafka --ephemeral                       # the same, in memory only
  rafka topic create orders -p 3
  echo hello | rafka produce orders
  rafka consume orders --offset start`
	root.Args = refuseArguments
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(explainFlagError)
	root.SetGlobalNormalizationFunc(kafkaWords)
	root.AddGroup(&cobra.Group{ID: "server", Title: "Server:"}, &cobra.Group{ID: "data", Title: "Records:"},
		&cobra.Group{ID: "admin", Title: "Cluster:"}, &cobra.Group{ID: "tools", Title: "Tools:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("server", newServeCommand(), newDevCommand())
	add("data", newProduceCommand(getenv), newConsumeCommand(getenv), newQueueCommand(getenv), newCatCommand(getenv))
	add("admin", newTopicCommand(getenv), newGroupCommand(getenv), newShareCommand(getenv), newTxnCommand(getenv), newConfigCommand(getenv), newClusterCommand(getenv), newVerifyCommand(getenv))
	add("tools", newDoctorCommand(getenv), newExplainCommand(getenv), newBenchCommand(getenv), newDumpLogCommand(), newVersionCommand())
	root.SetHelpCommandGroupID("tools")
	root.SetCompletionCommandGroupID("tools")
	return root
}
