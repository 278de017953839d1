package timeline

// CONTRACT (owner: runtime). Containers whose past states can be returned to and read.

// Epoch numbers states. It only rises.
type Epoch = int64

// Latest reads the state of this moment.
const Latest Epoch = 1<<63 - 1

// Registry is the containers of one shard, all on one line of time. Not safe for concurrent use.
//
//	func NewRegistry() *Registry
//	func (r *Registry) Snapshot(at Epoch)   // the state of now can be returned to and read as `at` from now on; at rises. Costs nothing until something changes.
//	func (r *Registry) Revert(at Epoch)     // TML-1: exactly the state when Snapshot(at) was called; later snapshots are gone
//	func (r *Registry) Release(below Epoch) // snapshots below are gone; TML-3
//
// Map and Value belong to a registry. A container may be made at any time, also inside a value of another Map (a group's members); one that is
// no longer referenced costs nothing once its snapshots are released.
//
//	func NewMap[K comparable, V any](r *Registry) *Map[K, V]
//	Get(k) (V, bool) · GetAt(k, at) (V, bool) · Set(k, v) · Delete(k) · Len() int · LenAt(at) int · All() iter.Seq2[K, V] · AllAt(at) iter.Seq2[K, V]
//	func NewValue[V any](r *Registry, v V) *Value[V]
//	Get() V · GetAt(at) V · Set(v)
//
// A V that is changed in place is not reverted: Set a new one.
