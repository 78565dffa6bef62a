// Package view turns what the commands found into bytes: tables with their title in the top border, the
// replication tree, tab-separated values, JSON and YAML. Everything in it is a pure function of its
// arguments; formats are byte for byte those of patronictl, because scripts parse them.
// Source: Patroni 4.1, patronictl, print_output.
package view
