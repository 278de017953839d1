package seglog

import (
	"log/slog"
	"time"
)

// Options of an Engine; zero values mean the defaults in brackets.
type Options struct {
	// Buffered writes segments through the page cache instead of past it. [false: direct I/O]
	Buffered bool
	// TrustDisk leaves out the check of batches that reads find in files: a fifth of a millisecond of a processor for each MiB. Whoever gets them must
	// check them, and damage is found by Inspect only. [false: nothing damaged is ever served (SEG-3)]
	TrustDisk bool
	// HotBytes is the memory for tails and for blocks read from disk. [256 MiB]
	HotBytes int64
	// HotLeast is how much of HotBytes appends fill with what is in segments already. It rises by all that is read from files, up to HotBytes: memory that
	// nobody reads from costs a processor more to touch for the first time, on a virtual machine, than all else about an append. [HotBytes]
	HotLeast int64
	// JournalBytes is the space of all journal files of one directory; at least two files are made of it. [256 MiB]
	JournalBytes int64
	// DirectBytes: an append round of one log with at least this many bytes goes to its segment instead of the journal. [64 KiB]
	DirectBytes int
	// FlushAge: journaled data goes to its segment at the latest after this time. [10 s]
	FlushAge time.Duration
	// OpenFiles is how many segment files stay open. [1000]
	OpenFiles int
	// Workers write segments, per directory. [4]
	Workers int
	// ReserveBytes: with less free space than this a directory counts as full. [64 MiB, at most 1/20 of the file system]
	ReserveBytes uint64
	// Logger is told of recovery, damage and full disks. [slog.Default()]
	Logger *slog.Logger
	// Now is the clock. [time.Now]
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.HotBytes, 256<<20)
	def(&o.HotLeast, o.HotBytes)
	def(&o.JournalBytes, 256<<20)
	if o.DirectBytes <= 0 {
		o.DirectBytes = 64 << 10
	}
	if o.FlushAge <= 0 {
		o.FlushAge = 10 * time.Second
	}
	if o.OpenFiles <= 0 {
		o.OpenFiles = 1000
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
