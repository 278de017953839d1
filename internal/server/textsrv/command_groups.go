package textsrv

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Limits of the commands for queues.
const (
	maxTake = 500       // messages that one TAKE gives and one ACK names
	maxWait = time.Hour // of WAIT
)

// messageID names a message of a queue, written topic/partition/offset.
type messageID struct {
	topic     string
	partition int32
	offset    kafka.Offset
}

func (id messageID) String() string { return string(id.append(nil)) }

func (id messageID) append(dst []byte) []byte {
	dst = append(append(dst, id.topic...), '/')
	dst = append(strconv.AppendInt(dst, int64(id.partition), 10), '/')
	return strconv.AppendInt(dst, int64(id.offset), 10)
}

func parseMessageID(text string) (id messageID, err error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 && parts[0] != "" {
		var errs [2]error
		id.topic = parts[0]
		id.partition, errs[0] = parsePartition(parts[1])
		id.offset, errs[1] = parseOffset(parts[2])
		if errs[0] == nil && errs[1] == nil {
			return id, nil
		}
	}
	return id, fmt.Errorf("\"%s\" is no id: use those that TAKE gives, <topic>/<partition>/<offset>", printable([]byte(text)))
}

// nameGroup takes the name of a group, which may be of any characters and so may have escapes.
func (c *command) nameGroup(text string) error {
	name, err := unescape([]byte(text))
	switch {
	case err != nil:
		return fmt.Errorf("the group: %w", err)
	case len(name) == 0:
		return errors.New("a group's name cannot be empty")
	}
	c.group = string(name)
	return nil
}

func (c *command) parseOffsets(rest []byte) error {
	args := fields(rest)
	if len(args) == 2 {
		switch strings.ToUpper(args[0]) {
		case "GROUP":
			c.verb = verbGroupOffsets
			return c.nameGroup(args[1])
		case "QUEUE":
			c.verb = verbQueueOffsets
			return c.nameGroup(args[1])
		}
	}
	return c.parseTopic(rest)
}

func (c *command) parseCommit(rest []byte) (err error) {
	args := fields(rest)
	if len(args) == 0 {
		return nil
	}
	if len(args) != 5 || !strings.EqualFold(args[3], "GROUP") {
		return c.misused()
	}
	c.topic = args[0]
	if c.partition, err = parsePartition(args[1]); err != nil {
		return err
	}
	if c.from, err = parseOffset(args[2]); err != nil {
		return err
	}
	return c.nameGroup(args[4])
}

// parseQueue reads TAKE and PEEK.
func (c *command) parseQueue(rest []byte) error {
	args := fields(rest)
	if len(args) < 3 || !strings.EqualFold(args[1], "QUEUE") {
		return c.misused()
	}
	c.topic, c.count = args[0], 1
	if err := c.nameGroup(args[2]); err != nil {
		return err
	}
	args = args[3:]
	if len(args) > 0 && !strings.EqualFold(args[0], "WAIT") {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 || n > maxTake {
			return fmt.Errorf("\"%s\" is no number of messages: use 1 to %d", printable([]byte(args[0])), maxTake)
		}
		c.count, args = n, args[1:]
	}
	if len(args) == 0 {
		return nil
	}
	if len(args) != 2 || !strings.EqualFold(args[0], "WAIT") || c.verb != verbTake {
		return c.misused()
	}
	s, err := strconv.Atoi(args[1])
	if err != nil || s < 0 || s > int(maxWait/time.Second) {
		return fmt.Errorf("WAIT \"%s\": use 0 to %d seconds", printable([]byte(args[1])), maxWait/time.Second)
	}
	c.wait = time.Duration(s) * time.Second
	return nil
}

func (c *command) parseIDs(rest []byte) error {
	args := someFields(rest, maxTake+1)
	if len(args) > maxTake {
		return fmt.Errorf("one command names at most %d messages; send several", maxTake)
	}
	seen := make(map[messageID]bool, len(args))
	for _, a := range args {
		id, err := parseMessageID(a)
		if err != nil {
			return err
		}
		if !seen[id] {
			seen[id] = true
			c.ids = append(c.ids, id)
		}
	}
	return nil
}
