package controller

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// The settings of a topic that say to how many partitions it may grow by itself, and how much a partition takes before it does.
const (
	growKey     = "rafka.partitions.max"
	growRateKey = "rafka.partitions.bytes.per.second"
)

// grow adds partitions to topics that may grow, where those there are take more than they should: as many as the load asks for, at most as many
// as there are, so a topic doubles at most, and what comes after is decided when the load is known anew. A compacted topic never grows: the
// latest record of a key would be in two partitions.
func (u *upkeep) grow() {
	if len(u.c.env.Loads) == 0 || u.c.env.Inherited == nil {
		return
	}
	rates := map[kafka.UUID]int64{}
	for _, l := range u.c.env.Loads {
		rates[l.Topic] += max(l.BytesPerSecond, 0)
	}
	asked := 0
	for _, t := range u.topics {
		most, each := u.growth(t)
		has, rate := int64(len(t.Partitions)), rates[t.ID]
		if u.c.full() || has == 0 || has >= most || rate <= has*each {
			continue
		}
		want := min((rate+each-1)/each, 2*has, most)
		r, err := addPartitions(u.c.env, u.c.img, &MorePartitions{Topic: t.Name, Total: int32(want)}, asked)
		if err != nil {
			u.note("%s cannot grow from %d to %d partitions, though it takes %s: %v", t.Name, has, want, perSecond(rate), err)
			continue
		}
		asked += int(want - has)
		u.c.records = append(u.c.records, r)
		u.note("%s grows from %d to %d partitions, of at most %d: it takes %s, which is more than %s each", t.Name, has, want, most, perSecond(rate), perSecond(each))
	}
}

// growth is to how many partitions a topic may grow, 0: it may not, and the bytes a second from which one is too many for a partition.
func (u *upkeep) growth(t *metadata.Topic) (most, each int64) {
	own := u.c.img.Configs.Topic(t.Name)
	if own[growKey] == "" || IsInternal(t.Name) {
		return 0, 0
	}
	r := metadata.Resource{Type: metadata.ResourceTopic, Name: t.Name}
	policy, set := own["cleanup.policy"]
	if !set {
		policy = u.c.env.Inherited(u.c.img, r, "cleanup.policy")
	}
	if slices.ContainsFunc(strings.Split(policy, ","), func(p string) bool { return strings.TrimSpace(p) == "compact" }) {
		return 0, 0
	}
	most, err := strconv.ParseInt(own[growKey], 10, 32)
	if err != nil {
		return 0, 0 // it was valid when it was set, or nobody could have
	}
	rate := own[growRateKey]
	if rate == "" {
		rate = u.c.env.Inherited(u.c.img, r, growRateKey)
	}
	if each, err = strconv.ParseInt(rate, 10, 64); err != nil || each <= 0 {
		return 0, 0
	}
	return most, each
}
