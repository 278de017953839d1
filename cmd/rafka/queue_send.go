package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// longestDelay keeps a mistyped delay from hiding a message for ever.
const longestDelay = 10 * 365 * 24 * time.Hour

func newQueueSend(q *queueCommand) *cobra.Command {
	o := produceOptions{compression: compressionChoice(), acks: acksChoice(), delimiter: `\n`, partition: -1, maxMessageBytes: defaultMaxMessage, deliveryTimeout: 2 * time.Minute}
	var delay time.Duration
	var at string
	cmd := &cobra.Command{
		Use:   "send TOPIC [MESSAGE...]",
		Short: "Send messages, now or to be delivered later",
		Long: `Send each MESSAGE, or each line of stdin. With --delay or --at the message carries a time in the header ` + deliverAtHeader + `: a Rafka broker
delivers it then and not before, to every consumer, if the topic's setting rafka.delivery.delay.enable is true.`,
		Example: `  rafka queue send jobs 'resize 42.png' --key user-7
  rafka queue send reminders 'call back' --delay 15m
  rafka queue send reminders 'happy new year' --at 2027-01-01T00:00:00Z
  generate-jobs | rafka queue send jobs`,
		Args: arguments(1, -1, "TOPIC [MESSAGE...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.topic, o.messages, o.hasKey = args[0], args[1:], cmd.Flags().Changed("key")
			when, err := deliveryTime(delay, at, cmd.Flags().Changed, q.now())
			if err != nil {
				return err
			}
			if !when.IsZero() {
				o.headers = append(o.headers, keyValue{deliverAtHeader, strconv.FormatInt(when.UnixMilli(), 10)})
			}
			if len(o.messages) == 0 {
				o.messages = nil
			}
			return o.run(cmd, &q.connection)
		},
		ValidArgsFunction: q.completeTopics,
	}
	f := cmd.Flags()
	f.StringVarP(&o.key, "key", "k", "", "key of the messages; those of one key stay in order")
	f.VarP(&o.headers, "header", "H", "header of every message (repeatable)")
	f.DurationVarP(&delay, "delay", "d", 0, "deliver after this long")
	f.StringVar(&at, "at", "", "deliver at this `TIME`: 2026-01-31T12:00:00Z, milliseconds since 1970")
	f.StringVarP(&o.format, "format", "f", "", "report each stored message by this `TEMPLATE`, as in \"rafka produce\"")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "report nothing but errors")
	return cmd
}

// deliveryTime is when a message is to be delivered; zero: at once.
func deliveryTime(delay time.Duration, at string, changed func(string) bool, now time.Time) (time.Time, error) {
	switch {
	case changed("delay") && changed("at"):
		return time.Time{}, usagef("--delay and --at exclude each other")
	case changed("delay") && (delay <= 0 || delay > longestDelay):
		return time.Time{}, usagef("--delay must be longer than 0 and no longer than ten years")
	case changed("delay"):
		return now.Add(delay), nil
	case !changed("at"):
		return time.Time{}, nil
	}
	t, err := offsetspec.ParseTime(at, now)
	switch {
	case err != nil:
		return time.Time{}, usagef("--at: %w", err)
	case t.Sub(now) > longestDelay:
		return time.Time{}, usagef("--at %s is more than ten years away", at)
	}
	return t, nil
}
