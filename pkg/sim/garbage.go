package sim

import "runtime/debug"

// CollectLess lets the garbage collector come when the heap has grown fivefold instead of twofold. A run keeps less than
// a megabyte and lets go of fourteen: by Go's default a third of the processor time went into collecting that. It is for
// programs that do nothing but simulate.
func CollectLess() { debug.SetGCPercent(400) }
