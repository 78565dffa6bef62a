// Package config turns files and environment variables into a typed and validated configuration, and the
// /config document of the cluster into its settings.
//
// Everything is read into one kind of tree, [Node], which keeps the order of keys and remembers where each
// value was written. YAML is read as version 1.1 says, as Patroni's users expect it: on and off are booleans,
// 0644 is octal, the last of two equal keys wins. So each mistake can be told with file, line, key and value,
// and all of them at once.
//
// [Load] reads what an agent needs, [LoadControl] what a control command needs. [ParseDynamic] reads the
// document of the cluster; one bad key in it never costs the others. [Merge] puts the two together.
//
// The package writes nothing but patroni.dynamic.json, and logs nothing: what it has to say is returned.
package config
