package textsrv

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

func (c *command) parseConsume(rest []byte) error {
	args := fields(rest)
	if len(args) < 2 {
		return c.misused()
	}
	c.topic = args[0]
	if strings.EqualFold(args[1], "GROUP") {
		if c.verb, c.from = verbConsumeGroup, broker.FromEarliest; len(args) < 3 {
			return c.misused()
		}
		if err := c.nameGroup(args[2]); err != nil {
			return err
		}
		return c.parseHowFar(args[3:])
	}
	if len(args) < 3 {
		return c.misused()
	}
	if args[1] != "*" {
		p, err := parsePartition(args[1])
		if err != nil {
			return fmt.Errorf("%w, or * for all of them", err)
		}
		c.partition = p
	}
	switch strings.ToLower(args[2]) {
	case "earliest":
		c.from = broker.FromEarliest
	case "latest":
		c.from = broker.FromLatest
	default:
		o, err := parseOffset(args[2])
		if err != nil {
			return fmt.Errorf("%w, earliest or latest", err)
		}
		c.from = o
	}
	return c.parseHowFar(args[3:])
}

// parseHowFar reads FOLLOW and LIMIT.
func (c *command) parseHowFar(args []string) error {
	for i := 0; i < len(args); i++ {
		switch strings.ToUpper(args[i]) {
		case "FOLLOW":
			c.follow = true
		case "LIMIT":
			if i++; i == len(args) {
				return c.misused()
			}
			n, err := strconv.ParseInt(args[i], 10, 64)
			if err != nil || n < 1 {
				return fmt.Errorf("LIMIT \"%s\": use a number from 1 to %d", printable([]byte(args[i])), int64(math.MaxInt64))
			}
			c.limit = n
		default:
			return c.misused()
		}
	}
	return nil
}

func parsePartition(text string) (int32, error) {
	p, err := strconv.ParseInt(text, 10, 32)
	if err != nil || p < 0 {
		return 0, fmt.Errorf("\"%s\" is no partition: use a number from 0", printable([]byte(text)))
	}
	return int32(p), nil
}

func parseOffset(text string) (kafka.Offset, error) {
	o, err := strconv.ParseInt(text, 10, 64)
	if err != nil || o < 0 {
		return 0, fmt.Errorf("\"%s\" is no offset: use a number from 0", printable([]byte(text)))
	}
	return kafka.Offset(o), nil
}
