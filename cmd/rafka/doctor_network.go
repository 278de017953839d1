package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkAddress resolves addr and connects to it.
func (d *doctor) checkAddress(ctx context.Context, check, addr, advice string) (reached bool) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		d.fail(check, advice, "%v", err)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		d.fail(check, "the name does not resolve from this machine; "+advice, "resolve %s: %v", host, shorten(err))
		return false
	}
	started := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		d.fail(check, "nothing accepts connections there: is the broker running, and is a firewall between? "+advice, "connect: %v", shorten(err))
		return false
	}
	took := time.Since(started)
	if err := conn.Close(); err != nil {
		d.warn(check, "", "close the connection: %v", err)
		return true
	}
	where := ""
	if len(ips) > 1 || ips[0] != host {
		where = fmt.Sprintf(" (%v)", ips)
	}
	d.ok(check, "connected in %s%s", took.Round(10*time.Microsecond), where)
	return true
}

// checkAdvertised connects to every address that the cluster hands to its clients. This is what goes wrong most often: the
// first address works, and then the client is sent to one that exists only inside a container network.
func (d *doctor) checkAdvertised(ctx context.Context, cl *kgo.Client, p *properties, m kadm.Metadata) (all bool) {
	all = true
	for _, b := range m.Brokers {
		addr := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		check := fmt.Sprintf("broker %d", b.NodeID)
		advice := fmt.Sprintf("set advertised.listeners of broker %d to an address that its clients can reach", b.NodeID)
		if ip := net.ParseIP(b.Host); ip != nil && ip.IsUnspecified() {
			d.fail(check, advice, "it tells its clients to connect to %s, which is no address of any machine", addr)
			all = false
			continue
		}
		before := len(d.findings)
		if !d.checkAddress(ctx, check, addr, advice) {
			d.findings[before].Detail = fmt.Sprintf("it tells its clients to connect to %s: %s", addr, d.findings[before].Detail)
			all = false
			continue
		}
		if err := askBroker(ctx, cl, b.NodeID, d.timeout); err != nil {
			d.fail(check, advice, "something accepts connections at %s, but it does not answer as a broker: %v", addr, shorten(err))
			all = false
			continue
		}
		d.findings[before].Detail = fmt.Sprintf("%s: %s", addr, d.findings[before].Detail)
		if isLoopback(b.Host) && !onlyLoopback(p.brokers) {
			d.warn(check, advice, "it tells its clients to connect to %s, which is this machine for every client: others will not find it", addr)
		}
	}
	return all
}

// askBroker makes the client connect to that broker by its advertised address and exchange a request.
func askBroker(ctx context.Context, cl *kgo.Client, id int32, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl.Broker(int(id)))
	return err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func onlyLoopback(addrs []string) bool {
	for _, a := range addrs {
		if host, _, err := net.SplitHostPort(a); err != nil || !isLoopback(host) {
			return false
		}
	}
	return true
}
