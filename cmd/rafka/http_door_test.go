package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The door of a broker that listens everywhere is at the broker's address; that of one that listens to its own machine only is none for others.
func TestWhereTheHTTPDoorOfABrokerIs(t *testing.T) {
	own := []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, 7), Mask: net.CIDRMask(24, 32)}}
	for _, c := range []struct {
		host, setting, want string
		remote              bool
	}{
		{"10.0.0.1", ":8080", "10.0.0.1:8080", false},
		{"broker-1", "0.0.0.0:80", "broker-1:80", false},
		{"10.0.0.1", "[::]:80", "10.0.0.1:80", false},
		{"10.0.0.1", "10.0.1.1:8080", "10.0.1.1:8080", false},
		{"127.0.0.1", "127.0.0.1:8080", "127.0.0.1:8080", false},
		{"10.0.0.7", "127.0.0.1:8080", "127.0.0.1:8080", false},
		{"10.0.0.1", "127.0.0.1:8080", "127.0.0.1:8080", true},
		{"10.0.0.1", "", "", false},
	} {
		at, remote := doorOf(kadm.BrokerDetail{Host: c.host}, c.setting, own)
		if at != c.want || remote != c.remote {
			t.Errorf("broker at %s, setting %q: %s, %v; want %s, %v", c.host, c.setting, at, remote, c.want, c.remote)
		}
	}
}

// A door is found by asking the brokers for their settings. One that is gone makes way for the next, and where there is none the words say so.
func TestVerbsFindTheHTTPDoors(t *testing.T) {
	s := newShell(t, kfake.NumBrokers(2))
	if _, errs, code := s.try(nil, "cluster rebalance --explain"); code != 1 || !strings.Contains(errs, "no broker has an HTTP door") {
		t.Errorf("without a door: exit code %d, %s", code, errs)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("about") == "done" {
			_, _ = w.Write([]byte(`[{"at":"2026-01-31T12:00:00Z","about":"done","text":"it has moved a leader"}]`))
			return
		}
		_, _ = w.Write([]byte("[]"))
	}))
	defer web.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	doors := map[string]string{"0": gone.Listener.Addr().String(), "1": web.Listener.Addr().String()}
	s.cluster.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		q := req.(*kmsg.DescribeConfigsRequest)
		a := q.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, wanted := range q.Resources {
			r := kmsg.NewDescribeConfigsResponseResource()
			r.ResourceType, r.ResourceName = wanted.ResourceType, wanted.ResourceName
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			at := doors[wanted.ResourceName]
			c.Name, c.Value = httpKey, &at
			r.Configs = append(r.Configs, c)
			a.Resources = append(a.Resources, r)
		}
		return a, nil, true
	})
	if out := s.must("cluster rebalance --explain"); !strings.Contains(out, "it has moved a leader") {
		t.Errorf("%s", out)
	}
}
