package main

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// minISR is min.insync.replicas of topics; those that cannot be asked about are left out.
func minISR(ctx context.Context, adm *admin, topics []string) map[string]int {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, t := range topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, t, []string{"min.insync.replicas"}
		req.Resources = append(req.Resources, r)
	}
	found := map[string]int{}
	resp, err := req.RequestWith(ctx, adm.raw)
	if err != nil {
		return found
	}
	for _, r := range resp.Resources {
		for _, c := range r.Configs {
			if n, err := strconv.Atoi(deref(c.Value)); err == nil && c.Name == "min.insync.replicas" {
				found[r.ResourceName] = n
			}
		}
	}
	return found
}
