package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a mistake in the command line itself: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// refuseArguments is for commands that take only flags and subcommands; a word there is most likely a mistyped subcommand.
func refuseArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		msg += "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return usagef("%s", msg)
}

// arguments asks for lowest to highest arguments (highest < 0: any number) and names them when they are missing.
func arguments(lowest, highest int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < lowest:
			return usagef("missing argument: %s %s", cmd.CommandPath(), names)
		case highest >= 0 && len(args) > highest:
			return usagef("unexpected argument %q: %s %s", args[highest], cmd.CommandPath(), names)
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: refuseArguments, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// explainFlagError adds the flag that was probably meant.
func explainFlagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return &usageError{err}
	}
	best, distance := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := editDistance(missing.GetSpecifiedName(), f.Name); d < distance && !f.Hidden {
			best, distance = f.Name, d
		}
	})
	if best == "" || len(missing.GetSpecifiedName()) < 2 {
		return &usageError{err}
	}
	return usagef("%w; did you mean --%s?", err, best)
}

// editDistance is how many letters to insert, delete or replace to get from a to b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
