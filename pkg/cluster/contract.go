package cluster

// PatroniVersion is the version of Patroni whose contract hathi keeps. Clients and peers parse it as three integers.
const PatroniVersion = "4.1.4"
