package config

import "errors"

// Inspection is what can be said about the configuration of a node without using it.
type Inspection struct {
	Path   string
	Tree   *Node   // as it was read; empty if it could not be
	Config *Config // nil if there are errors
	// Errors keep a node from starting, Warnings don't.
	Errors, Warnings Problems
}

// Inspect reads a file or directory as Load does, and gives what there is although it may have mistakes. The error says
// why nothing could be read at all.
func Inspect(path string, environ []string) (Inspection, error) {
	tree, cfg, warnings, err := load(path, environ, true)
	if tree == nil {
		tree = &Node{Kind: Map, file: path}
	}
	in := Inspection{Path: path, Tree: tree, Config: cfg, Warnings: warnings}
	if err != nil && !errors.As(err, &in.Errors) {
		return in, err
	}
	return in, nil
}

// At follows a path of keys; nil if it leads to nothing, or to null.
func (n *Node) At(path ...string) *Node {
	if found := n.at(path...); !found.null() {
		return found
	}
	return nil
}

// Where tells the place of a value: file:line, or the name of a variable; empty for none.
func (n *Node) Where() string { return n.where() }
