package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const seekHelp = `Move the offsets of a group: where its members go on. The group must have no members; without --dry-run the new offsets are committed.

Where to:
  --to-earliest, --to-latest     the start or end of each partition
  --to-datetime TIME             the first record at or after a time: 2026-01-31T12:00:00Z, milliseconds since 1970, -1h
  --by-duration DURATION         the same, counted back from now: PT1H30M, P7D, 90m
  --shift-by N                   N records on (or back, if negative) from where the group is
  --to-offset N                  an offset, the same in every partition
  --to-current                   where the group is: for --export
  --from-file FILE               lines of topic,partition,offset or group,topic,partition,offset; - is stdin
An offset outside the log is moved to its nearest end, with a note.

Which partitions: those of --topic TOPIC or TOPIC:0,2 (repeatable); without --topic all topics that the group has offsets for.

--export prints lines of topic,partition,offset, as --from-file and kafka-consumer-groups read them, and changes nothing.`

// seekOptions are the flags of seek.
type seekOptions struct {
	where  seekWhere
	topics []string
	all    bool
	export bool
	dryRun bool
}

func newGroupSeek(g *groupCommand) *cobra.Command {
	var o seekOptions
	var execute bool
	cmd := &cobra.Command{
		Use:     "seek GROUP",
		Aliases: []string{"reset"},
		Short:   "Move where a group goes on",
		Long:    seekHelp,
		Example: `  rafka group seek billing --to-earliest --dry-run
  rafka group seek billing --topic orders:0,1 --shift-by -100
  rafka group seek billing --to-current --export > offsets.csv
  rafka group seek billing --from-file offsets.csv`,
		Args: arguments(1, 1, "GROUP"),
		RunE: func(cmd *cobra.Command, names []string) error {
			target, err := o.where.target(cmd.Flags().Changed, g.now())
			if err != nil {
				return err
			}
			if target.kind == seekFile {
				if target.file, err = readOffsetFile(cmd.InOrStdin(), o.where.file, names[0]); err != nil {
					return err
				}
			}
			scope, err := parseScope(o.topics)
			switch {
			case err != nil:
				return err
			case o.all && len(scope) > 0:
				return usagef("--all-topics and --topic exclude each other")
			case execute && (o.dryRun || o.export):
				return usagef("--execute changes offsets, --dry-run and --export do not: give one of them")
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				return g.seek(ctx, cmd, adm, names[0], target, scope, &o)
			})
		},
		ValidArgsFunction: g.completeGroups,
	}
	f := cmd.Flags()
	o.where.register(cmd)
	f.StringArrayVarP(&o.topics, "topic", "t", nil, "only this topic or these partitions of it, `TOPIC[:P,P]` (repeatable)")
	f.BoolVar(&o.all, "all-topics", false, "all topics that the group has offsets for; the default")
	f.BoolVar(&o.export, "export", false, "print the new offsets as CSV and change nothing")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "show the new offsets and change nothing")
	f.BoolVar(&execute, "execute", false, "change the offsets; the default, and known for who is used to kafka-consumer-groups")
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("topic", g.completeTopics)
	return cmd
}

func (g *groupCommand) seek(ctx context.Context, cmd *cobra.Command, adm *admin, name string, target seekTarget, scope []scopeTopic, o *seekOptions) error {
	v, err := g.seekable(ctx, adm, name)
	if err != nil {
		return err
	}
	if v.Offsets, err = committedList(ctx, adm, v); err != nil {
		return err
	}
	moves, err := planSeek(ctx, adm, v, target, scope)
	if err != nil {
		return err
	}
	if o.export {
		out := bufio.NewWriter(cmd.OutOrStdout())
		writeOffsetFile(out, moves)
		return out.Flush()
	}
	if !o.dryRun {
		if n := len(v.Members); n > 0 {
			return fmt.Errorf("group %q has %s, which would go on where they are: stop them first, or look with --dry-run", name, plural(int64(n), "member"))
		}
		if err := commitSeek(ctx, adm, v, moves); err != nil {
			return fmt.Errorf("seek group %q: %w", name, explain(err))
		}
	}
	return g.printSeek(cmd, moves, o.dryRun)
}

// seekable loads the membership of the group. One that does not exist comes to be by its first commit.
func (g *groupCommand) seekable(ctx context.Context, adm *admin, name string) (*groupView, error) {
	all, err := listGroups(ctx, adm, nil, nil)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Group != name {
			continue
		}
		if g.only != "" && one.Type != g.only {
			return nil, fmt.Errorf("group %q is a %s group; use `rafka group seek`", name, one.Type)
		}
		return loadGroup(ctx, adm, one)
	}
	v := &groupView{Group: name, Type: classicGroup, State: "Dead"}
	if g.only != "" {
		v.Type = g.only
	}
	return v, nil
}

// committedList is committedOffsets as a list; a group that does not exist has none.
func committedList(ctx context.Context, adm *admin, v *groupView) ([]groupOffset, error) {
	if v.State == "Dead" && len(v.Members) == 0 {
		return nil, nil
	}
	known, err := committedOffsets(ctx, adm, v)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %q: %w", v.Group, explain(err))
	}
	list := make([]groupOffset, 0, len(known))
	for _, o := range known {
		list = append(list, o)
	}
	return list, nil
}

// commitSeek makes the moves and notes beside each what became of it.
func commitSeek(ctx context.Context, adm *admin, v *groupView, moves []seekMove) error {
	to := make(kadm.Offsets)
	for _, m := range moves {
		to.AddOffset(m.Topic, m.Partition, m.New, -1)
	}
	var failed func(topic string, partition int32) error
	if v.Type == shareGroup {
		answers, err := adm.AlterShareGroupOffsets(ctx, v.Group, to)
		if err != nil {
			return err
		}
		failed = func(topic string, partition int32) error {
			err, ok := answers.Lookup(topic, partition)
			if !ok {
				return kerr.UnknownServerError
			}
			return err
		}
	} else {
		answers, err := adm.CommitOffsets(ctx, v.Group, to)
		if err != nil {
			return err
		}
		failed = func(topic string, partition int32) error {
			a, ok := answers.Lookup(topic, partition)
			if !ok {
				return kerr.UnknownServerError
			}
			return a.Err
		}
	}
	for i := range moves {
		moves[i].Error = describedText(failed(moves[i].Topic, moves[i].Partition), "")
	}
	return nil
}

// printSeek shows each move, old and new, and fails if one failed.
func (g *groupCommand) printSeek(cmd *cobra.Command, moves []seekMove, dryRun bool) error {
	failed := 0
	err := g.print(cmd.OutOrStdout(), moves, func(t *table) {
		t.row("TOPIC", "PARTITION", "OLD-OFFSET", "NEW-OFFSET", "STATUS")
		for _, m := range moves {
			status := "moved"
			switch {
			case m.Error != "":
				status = "failed: " + m.Error
			case dryRun:
				status = "would be moved"
			}
			if m.Old != nil && *m.Old == m.New && m.Error == "" {
				status = "stays"
			}
			if m.Note != "" {
				status += " (" + m.Note + ")"
			}
			t.row(m.Topic, m.Partition, orDash(m.Old), m.New, status)
		}
	})
	for _, m := range moves {
		if m.Error != "" {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d partitions failed", failed, len(moves))
	}
	return err
}

// openOffsetFile opens the file of --from-file.
func openOffsetFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--from-file: %w", err)
	}
	return f, nil
}
