package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// decision is one of a Rafka broker's own, as its HTTP door tells it.
type decision struct {
	At    time.Time `json:"at"`
	About string    `json:"about"`
	Text  string    `json:"text"`
}

const (
	httpPort      = "8080"
	decisionsWait = time.Second
	mostDecisions = 1 << 20 // bytes
)

// decisions asks the broker for its last decisions about a group or transactional id. Whatever goes wrong (another vendor's broker, no HTTP
// door, another program on the port), there are none: they are an extra.
func (e *explainCommand) decisions(ctx context.Context, about string) []decision {
	addr := e.http
	if addr == "" {
		p, err := e.resolve()
		if err != nil {
			return nil
		}
		host, _, err := net.SplitHostPort(p.brokers[0])
		if err != nil {
			return nil
		}
		addr = net.JoinHostPort(host, httpPort)
	}
	ctx, cancel := context.WithTimeout(ctx, decisionsWait)
	defer cancel()
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
	var list []decision
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostDecisions)).Decode(&list); err != nil {
		return nil
	}
	return list
}
