package grpcsrv

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
)

// unserved answers a call of the contract that this broker does not serve (RPC-3).
func unserved[R any](s *Server, call, instead string) (*R, error) {
	return nil, s.fail(status.Errorf(codes.Unimplemented, "this broker does not serve %s yet; %s", call, instead))
}

const (
	noGroups  = "name the offset to start from in Consume, and keep it where you keep the results"
	noCluster = "this broker runs on its own; send messages to it by Publish"
)

// Acknowledge comes with groups.
func (s *Server) Acknowledge(context.Context, *rafkapb.AcknowledgeRequest) (*rafkapb.AcknowledgeResponse, error) {
	return unserved[rafkapb.AcknowledgeResponse](s, "Acknowledge", noGroups)
}

// UpdateOffset comes with groups.
func (s *Server) UpdateOffset(context.Context, *rafkapb.UpdateOffsetRequest) (*rafkapb.UpdateOffsetResponse, error) {
	return unserved[rafkapb.UpdateOffsetResponse](s, "UpdateOffset", noGroups)
}

// JoinGroup comes with groups.
func (s *Server) JoinGroup(context.Context, *rafkapb.JoinGroupRequest) (*rafkapb.JoinGroupResponse, error) {
	return unserved[rafkapb.JoinGroupResponse](s, "JoinGroup", noGroups)
}

// SyncGroup comes with groups.
func (s *Server) SyncGroup(context.Context, *rafkapb.SyncGroupRequest) (*rafkapb.SyncGroupResponse, error) {
	return unserved[rafkapb.SyncGroupResponse](s, "SyncGroup", noGroups)
}

// Heartbeat comes with groups.
func (s *Server) Heartbeat(context.Context, *rafkapb.HeartbeatRequest) (*rafkapb.HeartbeatResponse, error) {
	return unserved[rafkapb.HeartbeatResponse](s, "Heartbeat", noGroups)
}

// ForwardMessage comes with the cluster.
func (s *Server) ForwardMessage(context.Context, *rafkapb.ForwardMessageRequest) (*rafkapb.ForwardMessageResponse, error) {
	return unserved[rafkapb.ForwardMessageResponse](s, "ForwardMessage", noCluster)
}

// GetClusterInfo comes with the cluster.
func (s *Server) GetClusterInfo(context.Context, *rafkapb.GetClusterInfoRequest) (*rafkapb.GetClusterInfoResponse, error) {
	return unserved[rafkapb.GetClusterInfoResponse](s, "GetClusterInfo", noCluster)
}

// JoinCluster comes with the cluster.
func (s *Server) JoinCluster(context.Context, *rafkapb.JoinClusterRequest) (*rafkapb.JoinClusterResponse, error) {
	return unserved[rafkapb.JoinClusterResponse](s, "JoinCluster", noCluster)
}

// GossipMessage comes with the cluster.
func (s *Server) GossipMessage(context.Context, *rafkapb.GossipMessageRequest) (*rafkapb.GossipMessageResponse, error) {
	return unserved[rafkapb.GossipMessageResponse](s, "GossipMessage", noCluster)
}

// GetMeshTopology comes with the cluster.
func (s *Server) GetMeshTopology(context.Context, *rafkapb.GetMeshTopologyRequest) (*rafkapb.GetMeshTopologyResponse, error) {
	return unserved[rafkapb.GetMeshTopologyResponse](s, "GetMeshTopology", noCluster)
}

// JoinMesh comes with the cluster.
func (s *Server) JoinMesh(context.Context, *rafkapb.JoinMeshRequest) (*rafkapb.JoinMeshResponse, error) {
	return unserved[rafkapb.JoinMeshResponse](s, "JoinMesh", noCluster)
}

// LeaveMesh comes with the cluster.
func (s *Server) LeaveMesh(context.Context, *rafkapb.LeaveMeshRequest) (*rafkapb.LeaveMeshResponse, error) {
	return unserved[rafkapb.LeaveMeshResponse](s, "LeaveMesh", noCluster)
}
