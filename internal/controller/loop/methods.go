package loop

import "github.com/rafka-io/rafka/internal/cluster/peer"

// methodHeartbeat is the name of the method that brokers call again and again.
const methodHeartbeat = "heartbeat"

// Methods are what other nodes call here, by name, for peer.ServerOptions.Methods. They may be called before Start and after Close.
func (l *Loop) Methods() map[string]peer.Handler {
	return map[string]peer.Handler{
		methodHeartbeat:          l.serveHeartbeat,
		createTopics.name:        createTopics.serve(l),
		deleteTopics.name:        deleteTopics.serve(l),
		createPartitions.name:    createPartitions.serve(l),
		alterConfigs.name:        alterConfigs.serve(l),
		allocateProducerIDs.name: allocateProducerIDs.serve(l),
		alterPartition.name:      alterPartition.serve(l),
		failReplicas.name:        failReplicas.serve(l),
		stepOut.name:             stepOut.serve(l),
		electLeaders.name:        electLeaders.serve(l),
		alterReassignments.name:  alterReassignments.serve(l),
		registerBroker.name:      registerBroker.serve(l),
		stopBroker.name:          stopBroker.serve(l),
		leaveCluster.name:        leaveCluster.serve(l),
		unregisterBroker.name:    unregisterBroker.serve(l),
		drainBroker.name:         drainBroker.serve(l),
		updateFeatures.name:      updateFeatures.serve(l),
		brokers.name:             brokers.serve(l),
		explained.name:           explained.serve(l),
	}
}
