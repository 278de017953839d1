package kafkasrv

// Operations of Kafka's access control, by code, as bits: what a client may do with a resource. Without an authorizer that is everything.
const (
	opRead            = 1 << 3
	opWrite           = 1 << 4
	opCreate          = 1 << 5
	opDelete          = 1 << 6
	opAlter           = 1 << 7
	opDescribe        = 1 << 8
	opClusterAction   = 1 << 9
	opDescribeConfigs = 1 << 10
	opAlterConfigs    = 1 << 11
	opIdempotentWrite = 1 << 12

	groupOperations   = opRead | opDelete | opDescribe | opDescribeConfigs | opAlterConfigs
	topicOperations   = opRead | opWrite | opCreate | opDelete | opAlter | opDescribe | opDescribeConfigs | opAlterConfigs
	clusterOperations = opCreate | opAlter | opDescribe | opClusterAction | opDescribeConfigs | opAlterConfigs | opIdempotentWrite
)

// toldOperations are the operations that a description of a group tells: those asked for, of a group that is there.
func toldOperations(asked bool, code int16) int32 {
	const notAsked = -1 << 31
	if !asked || code != 0 {
		return notAsked
	}
	return groupOperations
}
