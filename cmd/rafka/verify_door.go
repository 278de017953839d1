package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// comparison is a step of a comparison, as a broker's HTTP door tells it.
type comparison struct {
	From         int64             `json:"from"`
	Next         int64             `json:"next"`
	End          int64             `json:"end"`
	OnlyVerified int64             `json:"only_verified_below"`
	Replicas     []comparedReplica `json:"replicas"`
	Differences  []difference      `json:"differences"`
}

type comparedReplica struct {
	Broker  int32  `json:"broker_id"`
	Missing string `json:"missing"`
	Start   int64  `json:"log_start"`
	End     int64  `json:"log_end"`
	Bytes   int64  `json:"bytes"`
}

// difference is a stretch of offsets, the last one included, of which some replicas do not hold what they should.
type difference struct {
	From  int64   `json:"from"`
	To    int64   `json:"to"`
	Bad   []int32 `json:"bad_broker_ids"`
	Rule  string  `json:"rule"`
	Where string  `json:"where,omitempty"`
}

const (
	comparePatience = 2 * time.Minute // of one step; each replica reads some 16 MiB
	compareAgain    = 200 * time.Millisecond
	mostComparison  = 64 << 20 // bytes of an answer
)

// verifyDoor is the HTTP door of the broker that compares: addr, and if that one does not answer the next of the others.
type verifyDoor struct {
	addr   string
	others []string
}

func (v *verifyCommand) door(ctx context.Context, adm *admin) (*verifyDoor, error) {
	doors, err := httpDoors(ctx, adm, v.http)
	if err != nil {
		return nil, err
	}
	return &verifyDoor{doors[0], doors[1:]}, nil
}

// compare asks for one step. A door that is busy with another one's is asked again.
func (d *verifyDoor) compare(ctx context.Context, topic string, partition int32, from int64, deep bool) (*comparison, error) {
	ctx, cancel := context.WithTimeout(ctx, comparePatience)
	defer cancel()
	q := url.Values{"topic": {topic}, "partition": {strconv.Itoa(int(partition))}, "from": {strconv.FormatInt(from, 10)}, "deep": {strconv.FormatBool(deep)}}
	for {
		where := url.URL{Scheme: "http", Host: d.addr, Path: "/v1/verify", RawQuery: q.Encode()}
		c, busy, err := d.ask(ctx, where.String())
		if errors.Is(err, errNoDoor) && ctx.Err() == nil && len(d.others) > 0 {
			d.addr, d.others = d.others[0], d.others[1:]
			continue
		}
		if !busy {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(compareAgain):
		}
	}
}

func (d *verifyDoor) ask(ctx context.Context, where string) (c *comparison, busy bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false, noDoor(err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, mostComparison)
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 1<<10)) // what there is of the reason
		return nil, resp.StatusCode == http.StatusServiceUnavailable, fmt.Errorf("%s answers %s: %s", d.addr, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(body).Decode(&c); err != nil {
		return nil, false, fmt.Errorf("%s does not answer as a Rafka broker does: %w", d.addr, err)
	}
	return c, false, nil
}
