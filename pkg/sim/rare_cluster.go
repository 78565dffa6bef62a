package sim

// clusterHardships are those of orders, keys and standby clusters.
var clusterHardships []hardship
