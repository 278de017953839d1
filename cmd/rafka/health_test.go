package main

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sick makes the cluster answer every metadata request with one broker at addr and one topic whose partition has two replicas,
// one in sync, and the leader given.
func (s *shell) sick(addr string, port, leader, controller int32) {
	s.cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		resp.ControllerID = controller
		broker := kmsg.NewMetadataResponseBroker()
		broker.NodeID, broker.Host, broker.Port = 0, addr, port
		resp.Brokers = append(resp.Brokers, broker)
		part := kmsg.NewMetadataResponseTopicPartition()
		part.Leader, part.Replicas, part.ISR = leader, []int32{0, 1}, []int32{0}
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.Partitions = kmsg.StringPtr("t"), append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
}

// Each illness must be named, with what to do, and make the exit code 1.
func TestDoctorAndHealthNameWhatIsWrong(t *testing.T) {
	s := newShell(t)
	s.sick("127.0.0.1", 1, -1, -1)
	out, errs, code := s.try(nil, "cluster health")
	for _, want := range []string{"healthy           false", "none: topics cannot be changed", "leaderless        1\n", "under-replicated  1\n", "t/0"} {
		if !strings.Contains(out, want) {
			t.Errorf("health: no %q in\n%s", want, out)
		}
	}
	if code != 1 || !strings.Contains(errs, "not healthy") {
		t.Errorf("health: exit code %d, %s", code, errs)
	}
	out, errs, code = s.try(nil, "doctor --write --timeout 2s")
	for _, want := range []string{
		"fail  controller", "fail  broker 0", "it tells its clients to connect to 127.0.0.1:1: connect: connection refused",
		"set advertised.listeners of broker 0", "fail  partitions", "1 without a leader, such as t/0", "warn  partitions",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor: no %q in\n%s", want, out)
		}
	}
	if code != 1 || !strings.Contains(errs, "3 of ") || strings.Contains(out, "made a topic") {
		t.Errorf("doctor: exit code %d, %s\n%s", code, errs, out)
	}
}

func TestDoctorRefusesAWildcardAddress(t *testing.T) {
	s := newShell(t)
	s.sick("0.0.0.0", 9092, 0, 0)
	out, _, code := s.try(nil, "doctor --timeout 2s")
	if code != 1 || !strings.Contains(out, "connect to 0.0.0.0:9092, which is no address of any machine") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
