package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// dumper prints what is in the files of a partition's log.
type dumper struct {
	out     *bufio.Writer
	asJSON  bool
	records bool
	max     int64 // bytes of each file to look at; 0: all
}

func newDumpLogCommand() *cobra.Command {
	var d dumper
	format := oneOf("text", "json")
	cmd := &cobra.Command{
		Use:   "dump-log FILE...",
		Short: "Print the batches of .log files and the entries of .index and .timeindex files",
		Long: `Print the batches of .log files and the entries of .index and .timeindex files, Rafka's or Apache Kafka's: they are the
same. It reads the files only and needs no broker. Reading stops at the first batch that is not valid; the exit code is
then 1 and the message says where. JSON is one object a line.`,
		Example: `  rafka dump-log data/orders-0/00000000000000000000.log --records
  rafka dump-log data/orders-0/*.timeindex --format json`,
		Args: arguments(1, -1, "FILE..."),
		RunE: func(cmd *cobra.Command, files []string) error {
			d.out, d.asJSON = bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10), format.value == "json"
			for _, name := range files {
				if err := cmd.Context().Err(); err != nil {
					return errors.New("interrupted")
				}
				if err := firstError(d.dump(name), d.out.Flush()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&d.records, "records", false, "also print the records of each batch")
	cmd.Flags().Int64Var(&d.max, "max-bytes", 0, "look at this many bytes of each file (default all)")
	cmd.Flags().VarP(&format, "format", "o", "how to print")
	format.complete(cmd, "format")
	return cmd
}

func (d *dumper) dump(name string) error {
	base, hasBase := baseOffset(name)
	extension := filepath.Ext(name)
	switch {
	case extension == ".log":
	case extension != ".index" && extension != ".timeindex":
		return usagef("%s: can read files that end in .log, .index or .timeindex", name)
	case !hasBase:
		return usagef("%s: offsets in an index are relative to the one in its file name, such as 00000000000000000042%s", name, extension)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if d.max > 0 {
		size = min(size, d.max)
	}
	in := bufio.NewReaderSize(io.LimitReader(f, size), 256<<10)
	if !d.asJSON {
		fmt.Fprintf(d.out, "Dumping %s\n", name)
	}
	switch extension {
	case ".log":
		if !d.asJSON && hasBase {
			fmt.Fprintf(d.out, "Log starting offset: %d\n", base)
		}
		err = d.dumpBatches(in, size)
	case ".index":
		err = d.dumpOffsetIndex(in, base)
	case ".timeindex":
		err = d.dumpTimeIndex(in, base)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// baseOffset reads the offset that a segment's files are named by.
func baseOffset(name string) (int64, bool) {
	stem := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	n, err := strconv.ParseInt(stem, 10, 64)
	return n, err == nil && n >= 0
}

// line prints v as one line of JSON, or text.
func (d *dumper) line(v any, text func(w io.Writer)) error {
	if d.asJSON {
		enc := json.NewEncoder(d.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	text(d.out)
	return d.out.WriteByte('\n')
}
