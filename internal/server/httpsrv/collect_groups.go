package httpsrv

import "strconv"

// Groups and their lags, as kafka_exporter names them; the lag in seconds as kafka-lag-exporter does.
var (
	groupOffset    = describe("kafka_consumergroup_current_offset", "Committed offset of a group.", "consumergroup", "topic", "partition")
	groupOffsetSum = describe("kafka_consumergroup_current_offset_sum", "Sum of a group's committed offsets in a topic.", "consumergroup", "topic")
	groupLag       = describe("kafka_consumergroup_lag", "Records between the committed offset of a group and the high watermark.", "consumergroup", "topic", "partition")
	groupLagSum    = describe("kafka_consumergroup_lag_sum", "Sum of a group's lags in a topic.", "consumergroup", "topic")
	groupLagTime   = describe("kafka_consumergroup_group_lag_seconds", "Age of the oldest record that a group has not consumed; 0 if it has consumed all.", "consumergroup", "topic", "partition")
	groupMembers   = describe("kafka_consumergroup_members", "Members of a group.", "consumergroup")

	groupCount    = describe("rafka_groups", "Groups that this broker coordinates.", "type", "state")
	groupsOmitted = describe("rafka_metrics_omitted_groups", "Groups that have no series of their own, or none for their partitions, on this page.")
)

func (c *collector) collectGroups(p page) {
	now := c.sources.Groups.Groups()
	for kind, n := range now.Counts {
		p.gauge(groupCount, float64(n), kind.Type, kind.State)
	}
	p.gauge(groupsOmitted, float64(now.Omitted))
	for i := range now.Groups {
		collectGroup(p, &now.Groups[i])
	}
}

// collectGroup tells of one group. The sum of lags is left out if one of them is not known: a sum of some would be wrong.
func collectGroup(p page, g *Group) {
	p.gauge(groupMembers, float64(g.Members), g.Name)
	for i := 0; i < len(g.Offsets); {
		topic := g.Offsets[i].Topic
		offsets, lags, known := int64(0), int64(0), true
		for ; i < len(g.Offsets) && g.Offsets[i].Topic == topic; i++ {
			o := &g.Offsets[i]
			number := strconv.Itoa(int(o.Partition))
			p.gauge(groupOffset, float64(o.Offset), g.Name, topic, number)
			offsets += int64(o.Offset)
			if o.Lag < 0 {
				known = false
				continue
			}
			p.gauge(groupLag, float64(o.Lag), g.Name, topic, number)
			lags += o.Lag
			if o.Waiting >= 0 {
				p.gauge(groupLagTime, o.Waiting.Seconds(), g.Name, topic, number)
			}
		}
		p.gauge(groupOffsetSum, float64(offsets), g.Name, topic)
		if known {
			p.gauge(groupLagSum, float64(lags), g.Name, topic)
		}
	}
}
