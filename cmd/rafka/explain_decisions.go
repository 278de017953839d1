package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// decision is one of a Rafka broker's own, as its HTTP door tells it.
type decision struct {
	At    time.Time `json:"at"`
	About string    `json:"about"`
	Text  string    `json:"text"`
}

const (
	decisionsWait = time.Second
	mostDecisions = 1 << 20 // bytes
)

// decisions asks the brokers for their last decisions about a group or transactional id, the oldest first: each one that has coordinated it keeps its own.
// Whatever goes wrong (another vendor's broker, no HTTP door, another program on the port), there are none: they are an extra.
func (e *explainCommand) decisions(ctx context.Context, adm *admin, about string) (list []decision) {
	doors, err := httpDoors(ctx, adm, e.http)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, decisionsWait)
	defer cancel()
	for _, addr := range doors {
		list = append(list, decisionsAt(ctx, addr, about)...)
	}
	slices.SortStableFunc(list, func(a, b decision) int { return a.At.Compare(b.At) })
	return list
}

func decisionsAt(ctx context.Context, addr, about string) (list []decision) {
	where := url.URL{Scheme: "http", Host: addr, Path: "/v1/explain", RawQuery: url.Values{"about": {about}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostDecisions)).Decode(&list); err != nil {
		return nil
	}
	return list
}
