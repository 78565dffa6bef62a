package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// readTree finds and reads the local configuration: the file or directory at path with the variables laid over
// it; without a path the text of PATRONI_CONFIGURATION alone, else the variables alone. A path that does not
// exist is an error (Patroni goes on without it). Source: Patroni 4.1, config.py.
func (c *collector) readTree(path string, environ []string) (*Node, error) {
	if path == "" {
		if text := variableOf(environ, envPrefix+"CONFIGURATION"); text != "" {
			n, err := ParseYAML(envPrefix+"CONFIGURATION", []byte(text))
			if err != nil || n.truthy() {
				return asMapping(n, envPrefix+"CONFIGURATION", err)
			}
		}
		return c.environment(environ), nil
	}
	tree, err := readPath(path)
	if err != nil {
		return nil, err
	}
	merged, _ := patched(tree, c.environment(environ))
	return merged, nil
}

func variableOf(environ []string, name string) string {
	value := ""
	for _, pair := range environ {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			value = v
		}
	}
	return value
}

func readPath(path string) (*Node, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w; check the path", err)
	}
	switch {
	case info.Mode().IsRegular():
		return readFile(path)
	case info.IsDir():
		return readDirectory(path)
	}
	// A pipe or a device, as in: hathi run <(generate); it is read once.
	if info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) != 0 {
		return readFile(path)
	}
	return nil, fmt.Errorf("read configuration: %s is neither a directory nor a file", path)
}

// readDirectory merges the *.yml and *.yaml files of a directory in the order of their names.
func readDirectory(path string) (*Node, error) {
	names, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	tree := &Node{Kind: Map, file: path}
	found := false
	for _, e := range names {
		name := filepath.Join(path, e.Name())
		if ext := filepath.Ext(name); ext != ".yml" && ext != ".yaml" {
			continue
		}
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		next, err := readFile(name)
		if err != nil {
			return nil, err
		}
		tree, _ = patched(tree, next)
		found = true
	}
	if !found {
		return nil, fmt.Errorf("read configuration: %s holds no *.yml or *.yaml file", path)
	}
	return tree, nil
}

func readFile(path string) (*Node, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	n, err := ParseYAML(path, text)
	return asMapping(n, path, err)
}

func asMapping(n *Node, name string, err error) (*Node, error) {
	if err != nil {
		return nil, err
	}
	if n.Kind != Map {
		return nil, Problems{{Where: n.where(), Text: name + " does not contain a dict: it must hold key: value lines at its top level"}}
	}
	return n, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func intString(n int64) string { return strconv.FormatInt(n, 10) }

func boolNode(v bool, file string) *Node {
	return &Node{Kind: Bool, Text: strconv.FormatBool(v), file: file}
}
