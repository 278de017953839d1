package mesh

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// resolvePatience bounds the resolving of one name.
	resolvePatience = time.Second
	// maxResolved bounds the addresses of one name.
	maxResolved = 64
)

// Resolve puts all addresses of a name in its place where it has several, as those of headless services have; nothing is remembered. What is
// an address already, has one address only or cannot be resolved now stays as it is.
func Resolve(ctx context.Context, hosts []string) []string {
	return resolve(ctx, hosts, net.DefaultResolver.LookupHost)
}

func resolve(ctx context.Context, hosts []string, lookUp func(context.Context, string) ([]string, error)) []string {
	found := make([][]string, len(hosts))
	var wg sync.WaitGroup
	for i, host := range hosts {
		found[i] = []string{host}
		name, port, err := net.SplitHostPort(host)
		if err != nil || net.ParseIP(name) != nil {
			continue
		}
		wg.Go(func() {
			soon, cancel := context.WithTimeout(ctx, resolvePatience)
			defer cancel()
			ips, err := lookUp(soon, name)
			if err != nil || len(ips) < 2 {
				return
			}
			found[i] = nil
			for _, ip := range ips[:min(len(ips), maxResolved)] {
				found[i] = append(found[i], net.JoinHostPort(ip, port))
			}
		})
	}
	wg.Wait()
	var all []string
	for _, list := range found {
		for _, addr := range list {
			if !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	return all
}
