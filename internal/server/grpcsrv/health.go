package grpcsrv

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
)

// HealthCheck says whether the broker can serve, and if not, why.
func (s *Server) HealthCheck(context.Context, *rafkapb.HealthCheckRequest) (*rafkapb.HealthCheckResponse, error) {
	r := &rafkapb.HealthCheckResponse{Healthy: true, Status: "ready", Timestamp: s.opts.Now().Unix()}
	if err := s.ready(); err != nil {
		r.Healthy, r.Status = false, err.Error()
	}
	return r, nil
}

func (s *Server) ready() error {
	if s.stopping.Err() != nil {
		return errShutdown
	}
	return s.opts.Ready()
}

// watchInterval is how often Watch looks whether something changed.
const watchInterval = time.Second

// health is gRPC's standard health service. It asks the broker each time instead of being told, so it cannot be out of date.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	server *Server
}

// of is the status of a service: the whole server, or one of those served here.
func (h health) of(service string) (grpc_health_v1.HealthCheckResponse_ServingStatus, bool) {
	if _, served := h.server.grpc.GetServiceInfo()[service]; service != "" && !served {
		return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN, false
	}
	if h.server.ready() != nil {
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING, true
	}
	return grpc_health_v1.HealthCheckResponse_SERVING, true
}

// Check answers for now.
func (h health) Check(_ context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	is, known := h.of(req.GetService())
	if !known {
		return nil, status.Errorf(codes.NotFound, "there is no service %q here", req.GetService())
	}
	return &grpc_health_v1.HealthCheckResponse{Status: is}, nil
}

// Watch answers at once and after each change.
func (h health) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	last := grpc_health_v1.HealthCheckResponse_ServingStatus(-1)
	for {
		if is, _ := h.of(req.GetService()); is != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: is}); err != nil {
				return err
			}
			last = is
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-h.server.stopping.Done():
			return errShutdown
		}
	}
}
