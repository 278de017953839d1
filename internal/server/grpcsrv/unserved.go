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

const noCluster = "this broker runs on its own; send messages to it by Publish"

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
