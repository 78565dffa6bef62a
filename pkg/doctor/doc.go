// Package doctor finds what people get wrong in the configuration of nodes: in one file, between the files of a
// cluster, and between what the files say and what the running members are. Rules are functions from what was read to
// findings; whoever calls them reads the files and asks the members.
package doctor
