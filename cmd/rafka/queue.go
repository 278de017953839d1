package main

import (
	"time"

	"github.com/spf13/cobra"
)

// deliverAtHeader asks a Rafka broker to deliver a record at a time: milliseconds since 1970 in decimal. Other brokers, and topics without
// rafka.delivery.delay.enable, deliver it at once.
const deliverAtHeader = "rafka-deliver-at"

// defaultQueueGroup takes messages when --group does not name another.
const defaultQueueGroup = "rafka-queue"

// queueCommand is what the verbs under `queue` share. Its group verbs are those of share groups.
type queueCommand struct {
	groupCommand
}

func newQueueCommand(getenv func(string) string) *cobra.Command {
	cmd := group("queue", "Send, receive and redrive messages of a topic used as a queue")
	cmd.Long = `Use a topic as a queue: any number of receivers share its messages, each message goes to one of them, and comes again if it is not
accepted. It works with every broker that has share groups (Kafka 4.2 and later); --delay and --at need Rafka.`
	q := &queueCommand{groupCommand{connection: connection{getenv: getenv}, only: shareGroup, now: time.Now}}
	q.connection.register(cmd)
	cmd.AddCommand(newQueueSend(q), newQueueReceive(q), newQueuePeek(q), newQueueDead(q), newQueueRedrive(q))
	return cmd
}

// completeQueueGroup makes the shell complete --group.
func (q *queueCommand) completeQueueGroup(cmd *cobra.Command) {
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("group", q.completeGroups)
}
