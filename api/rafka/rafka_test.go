package rafkapb

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// promised is every message, enum and call that old clients were compiled against: kind, name, then number:type name of its fields.
const promised = `
message PublishRequest: 1:string producer_id, 2:string topic, 3:string key, 4:string payload
message PublishResponse: 1:string message_id, 2:bool success, 3:string message, 4:int32 partition, 5:int64 offset
message ConsumeRequest: 1:string id, 2:string topic, 3:string group_id
message ConsumeResponse: 1:string message_id, 2:string topic, 3:string payload, 4:int64 sent_at, 5:int64 offset, 6:int32 partition
message AcknowledgeRequest: 1:string consumer_id, 2:string message_id, 3:string topic, 4:string group_id
message AcknowledgeResponse: 1:bool success, 2:string message
message RegisterResponse: 1:bool success, 2:string message
message SubscribeResponse: 1:bool success, 2:string message
message UpdateOffsetResponse: 1:bool success, 2:string message
message RegisterRequest: 1:string client_id, 2:ClientType client_type
message SubscribeRequest: 1:string consumer_id, 2:string topic, 3:string group_id
message UpdateOffsetRequest: 1:string consumer_id, 2:string topic, 3:int64 offset, 4:string group_id
message GetMetricsRequest:
message GetMetricsResponse: 1:uint64 total_messages, 2:uint64 total_bytes, 3:uint64 oldest_message_age_secs
message JoinGroupRequest: 1:string group_id, 2:string member_id, 3:string client_id, 4:string protocol_type, 5:repeated string topics
message JoinGroupResponse: 1:bool success, 2:string member_id, 3:string leader_id, 4:int32 generation_id, 5:string protocol_name, 6:string message
message SyncGroupRequest: 1:string group_id, 2:string member_id, 3:int32 generation_id, 4:map<string,bytes> group_assignment
message SyncGroupResponse: 1:bool success, 2:bytes assignment, 3:string message
message HeartbeatRequest: 1:string group_id, 2:string member_id, 3:int32 generation_id
message HeartbeatResponse: 1:bool success, 2:int32 error_code
message ForwardMessageRequest: 1:string from_broker_id, 2:string topic, 3:string key, 4:string payload, 5:int32 target_partition, 6:int64 offset
message ForwardMessageResponse: 1:bool success, 2:string message, 3:int64 offset
message BrokerInfo: 1:string broker_id, 2:string address, 3:int32 port, 4:int32 partition_id, 5:int32 total_partitions, 6:bool is_healthy
message GetClusterInfoRequest: 1:string requesting_broker_id
message GetClusterInfoResponse: 1:repeated BrokerInfo brokers, 2:int32 cluster_size, 3:string cluster_id
message JoinClusterRequest: 1:string broker_id, 2:string address, 3:int32 port, 4:int32 partition_id, 5:int32 total_partitions
message JoinClusterResponse: 1:bool success, 2:string message, 3:repeated BrokerInfo existing_brokers
message HealthCheckRequest: 1:string broker_id
message HealthCheckResponse: 1:bool healthy, 2:string status, 3:int64 timestamp
message GossipMessageRequest: 1:string from_node_id, 2:GossipMessageType message_type, 3:int64 timestamp, 4:int32 ttl
message GossipMessageResponse: 1:bool success, 2:string message
message GetMeshTopologyRequest: 1:string requesting_node_id
message GetMeshTopologyResponse: 1:repeated MeshNodeInfo nodes, 2:map<int32,string> partition_owners, 3:int32 cluster_size
message JoinMeshRequest: 1:string node_id, 2:string address, 3:int32 port, 4:int32 partition_id, 5:int32 total_partitions, 6:repeated string bootstrap_nodes
message JoinMeshResponse: 1:bool success, 2:string message, 3:repeated MeshNodeInfo existing_nodes
message LeaveMeshRequest: 1:string node_id
message LeaveMeshResponse: 1:bool success, 2:string message
message MeshNodeInfo: 1:string node_id, 2:string address, 3:int32 port, 4:int32 partition_id, 5:int32 total_partitions, 6:bool is_alive, 7:int64 last_seen_timestamp, 8:map<string,string> metadata
enum ClientType: UNKNOWN 0, PRODUCER 1, CONSUMER 2
enum GossipMessageType: UNKNOWN_GOSSIP 0, NODE_JOIN 1, NODE_LEAVE 2, NODE_UPDATE 3, HEARTBEAT 4, PARTITION_UPDATE 5, CLUSTER_STATE 6
service BrokerService: Publish, Consume stream, Acknowledge, Register, Subscribe, UpdateOffset, GetMetrics, ForwardMessage, GetClusterInfo, JoinCluster, HealthCheck, GossipMessage, GetMeshTopology, JoinMesh, LeaveMesh, JoinGroup, SyncGroup, Heartbeat
`

// A number or name that moved would make an old client read one thing and mean another, without any error (API-1).
func TestReleasedNamesAndNumbersStay(t *testing.T) {
	file := File_api_rafka_rafka_proto
	if file.Package() != "rafka" {
		t.Errorf("package %s, want rafka", file.Package())
	}
	for line := range strings.Lines(strings.TrimSpace(promised)) {
		head, list, _ := strings.Cut(strings.TrimSpace(line), ":")
		kind, name, _ := strings.Cut(head, " ")
		var want []string
		if list = strings.TrimSpace(list); list != "" {
			want = strings.Split(list, ", ")
		}
		has := have(file, kind, protoreflect.Name(name))
		for _, w := range want {
			if !slices.Contains(has, w) {
				t.Errorf("%s: %s is gone; there are %v", head, w, has)
			}
		}
		if has == nil {
			t.Errorf("%s is gone", head)
		}
	}
}

// have lists the members of a message, enum or service in the notation of promised.
func have(file protoreflect.FileDescriptor, kind string, name protoreflect.Name) []string {
	all := []string{""}
	switch kind {
	case "message":
		m := file.Messages().ByName(name)
		if m == nil {
			return nil
		}
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			all = append(all, fmt.Sprintf("%d:%s %s", f.Number(), typeOf(f), f.Name()))
		}
	case "enum":
		e := file.Enums().ByName(name)
		if e == nil {
			return nil
		}
		for i := range e.Values().Len() {
			all = append(all, fmt.Sprintf("%s %d", e.Values().Get(i).Name(), e.Values().Get(i).Number()))
		}
	case "service":
		s := file.Services().ByName(name)
		if s == nil {
			return nil
		}
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			word := string(m.Name())
			if m.IsStreamingServer() {
				word += " stream"
			}
			if string(m.Input().Name()) == string(m.Name())+"Request" && string(m.Output().Name()) == string(m.Name())+"Response" {
				all = append(all, word)
			}
		}
	}
	return all
}

func typeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return fmt.Sprintf("map<%s,%s>", typeOf(f.MapKey()), typeOf(f.MapValue()))
	case f.IsList():
		return "repeated " + word(f)
	}
	return word(f)
}

func word(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return string(f.Message().Name())
	case protoreflect.EnumKind:
		return string(f.Enum().Name())
	}
	return f.Kind().String()
}
