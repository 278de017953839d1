package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// entry is one entry read back.
type entry struct {
	kind  byte
	id    storage.ID
	end   kafka.Offset // the log end with it
	after kafka.Offset // the log end that it continues
	data  record.Batches
}

// decodeFrame reads the frame at the start of b, its sequence and entries, and its size. ok is false where there is none.
func decodeFrame(b []byte) (seq uint64, entries []entry, size int, ok bool) {
	if len(b) < frameHeader || binary.LittleEndian.Uint32(b) != frameMagic {
		return 0, nil, 0, false
	}
	n := int(binary.LittleEndian.Uint32(b[8:]))
	if n > maxFrame || n > len(b)-frameHeader {
		return 0, nil, 0, false
	}
	size = frameHeader + n
	if crc32.Checksum(b[8:size], crcTable) != binary.LittleEndian.Uint32(b[4:]) {
		return 0, nil, 0, false
	}
	seq = binary.LittleEndian.Uint64(b[16:])
	for rest := b[frameHeader:size]; len(rest) > 0; {
		if len(rest) < entryHeader {
			return 0, nil, 0, false
		}
		e := entry{kind: rest[0]}
		copy(e.id.TopicID[:], rest[1:])
		e.id.Partition = int32(binary.LittleEndian.Uint32(rest[17:]))
		name := int(binary.LittleEndian.Uint16(rest[21:]))
		data := int(binary.LittleEndian.Uint32(rest[23:]))
		e.end = kafka.Offset(binary.LittleEndian.Uint64(rest[27:]))
		e.after = kafka.Offset(binary.LittleEndian.Uint64(rest[35:]))
		rest = rest[entryHeader:]
		if name > len(rest) || data > len(rest)-name || e.id.Partition < 0 {
			return 0, nil, 0, false
		}
		e.id.Topic = string(rest[:name])
		e.data = record.Batches(rest[name : name+data])
		entries = append(entries, e)
		rest = rest[name+data:]
	}
	return seq, entries, size, true
}

// pass gets every frame's sequence and entries in the order they were written, and the file they lie in. The data is valid for the call.
type pass func(file *journalFile, seq uint64, entries []entry) error

// open finds what files there are and reads them all, once for each pass.
func (j *journal) open(passes ...pass) error {
	type found struct {
		file *journalFile
		seq  uint64
	}
	var all []found
	names, err := j.fs.List(j.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		digits, ok := strings.CutPrefix(name, "journal-")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil {
			continue
		}
		j.made = max(j.made, n)
		file := &journalFile{path: filepath.Join(j.path, name), pins: map[*Log]struct{}{}}
		if file.f, err = j.fs.Open(file.path, vfs.Write); err != nil {
			return fmt.Errorf("open %s: %w", file.path, err)
		}
		if file.size, err = file.f.Size(); err != nil {
			return err
		}
		head := make([]byte, min(frameHeader, file.size))
		if _, err := file.f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", file.path, err)
		}
		if len(head) < frameHeader || binary.LittleEndian.Uint32(head) != frameMagic {
			j.spare = append(j.spare, file)
			continue
		}
		all = append(all, found{file: file, seq: binary.LittleEndian.Uint64(head[16:])})
	}
	sort.Slice(all, func(a, b int) bool { return all[a].seq < all[b].seq })
	for _, f := range all {
		j.files = append(j.files, f.file)
	}
	for _, pass := range passes {
		for _, f := range all {
			if err := j.read(f.file, f.seq, pass); err != nil {
				return err
			}
		}
	}
	if n := len(j.files); n > 0 {
		j.pos = j.files[n-1].size // go on in another file: what lies behind the last frame is unknown
	}
	return nil
}

// read gives the frames of a file to fn, from the first, whose sequence is seq, to the first that does not continue it.
func (j *journal) read(file *journalFile, seq uint64, fn pass) error {
	f, err := j.fs.Open(file.path, vfs.Direct)
	if err != nil {
		return fmt.Errorf("open %s: %w", file.path, err)
	}
	defer f.Close()
	b := vfs.Aligned(int(alignUp(file.size)))
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", file.path, err)
	}
	b = b[:n]
	for {
		got, entries, size, ok := decodeFrame(b)
		if !ok || got != seq {
			return nil
		}
		if err := fn(file, seq, entries); err != nil {
			return err
		}
		seq++
		j.seq.Store(max(j.seq.Load(), seq))
		b = b[size:]
	}
}
