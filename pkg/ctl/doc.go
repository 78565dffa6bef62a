// Package ctl is what the control commands do: each takes a picture of the cluster and a request, checks the
// one against the other, and carries the request out through the members' REST API or, where the contract
// says so, through etcd. It knows neither terminal nor command line; package cli asks the questions and
// prints, package view formats.
//
// Texts that a person or a script sees are part of the contract with patronictl and keep its wording to the
// letter, mistakes included. Source: Patroni 4.1, patronictl.
package ctl
