package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configView is one key of a resource. Value and Default are null where the broker hides them (passwords) or has none.
type configView struct {
	Key       string  `json:"key"`
	Value     *string `json:"value"`
	Source    string  `json:"source"`
	Default   *string `json:"default,omitempty"`
	DefaultOf string  `json:"default_of,omitempty"` // the key whose default it is, where that counts in another unit: log.retention.hours
	Type      string  `json:"type,omitempty"`
	ReadOnly  bool    `json:"read_only,omitempty"`
	Sensitive bool    `json:"sensitive,omitempty"`
	Doc       string  `json:"doc,omitempty"`
}

func (c configView) isDefault() bool { return c.Source == kmsg.ConfigSourceDefaultConfig.String() }

// describeConfigs asks for keys (all, if nil) of r, sorted by key. The request is written by hand, because kadm leaves out the
// documentation.
func describeConfigs(ctx context.Context, adm *admin, r resource, keys []string) ([]configView, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	wanted := kmsg.NewDescribeConfigsRequestResource()
	wanted.ResourceType, wanted.ResourceName, wanted.ConfigNames = r.kind, r.name, keys
	req.Resources = append(req.Resources, wanted)
	resp, err := req.RequestWith(ctx, adm.raw)
	if err != nil {
		return nil, err
	}
	if len(resp.Resources) != 1 {
		return nil, fmt.Errorf("describe %s: the broker answered for %d resources", r, len(resp.Resources))
	}
	got := resp.Resources[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return nil, fmt.Errorf("describe %s: %w", r, describe(err, deref(got.ErrorMessage)))
	}
	views := make([]configView, 0, len(got.Configs))
	for _, c := range got.Configs {
		views = append(views, viewConfig(c))
	}
	slices.SortFunc(views, func(a, b configView) int { return strings.Compare(a.Key, b.Key) })
	return views, nil
}

func viewConfig(c kmsg.DescribeConfigsResponseResourceConfig) configView {
	v := configView{
		Key: c.Name, Value: c.Value, Source: c.Source.String(), ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive, Doc: deref(c.Documentation),
	}
	if c.ConfigType != 0 {
		v.Type = strings.ToLower(c.ConfigType.String())
	}
	for _, s := range c.ConfigSynonyms {
		if s.Source == kmsg.ConfigSourceDefaultConfig {
			if v.Default = s.Value; unit(s.Name) != unit(c.Name) {
				v.DefaultOf = s.Name
			}
		}
	}
	if v.Default == nil && v.isDefault() {
		v.Default = v.Value // older brokers send no synonyms
	}
	return v
}

// unit is what a key's value counts: the end of its name, such as ms, hours, bytes.
func unit(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// shownDefault names the key with the default where the unit would mislead.
func shownDefault(c configView) string {
	if c.DefaultOf != "" && c.Default != nil {
		return c.DefaultOf + "=" + *c.Default
	}
	return shown(c.Default, false)
}

func printConfigs(tb *table, all []configView) {
	tb.row("KEY", "VALUE", "SOURCE", "DEFAULT")
	for _, c := range all {
		tb.row(c.Key, shown(c.Value, c.Sensitive), c.Source, shownDefault(c))
	}
}

func shown(value *string, sensitive bool) string {
	switch {
	case sensitive:
		return "(hidden)"
	case value == nil:
		return "-"
	}
	return *value
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
