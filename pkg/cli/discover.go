package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/config"
)

// places are where a configuration is looked for when none was named: the per-user file that patronictl
// knows, then those of hathi and of distributions.
func (e *env) places() []string {
	list := []string{userConfig(e.getenv)}
	if own, err := filepath.Glob(filepath.Join(e.etc, "hathi", "*.yml")); err == nil { // sorted by name
		list = append(list, own...)
	}
	for _, name := range []string{"patroni.yml", "patroni/patroni.yml", "patroni/config.yml"} {
		list = append(list, filepath.Join(e.etc, name))
	}
	return list
}

func userConfig(getenv func(string) string) string {
	base := getenv("XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(getenv("HOME"), ".config")
		if runtime.GOOS == "darwin" {
			base = filepath.Join(getenv("HOME"), "Library", "Application Support")
		}
	}
	return filepath.Join(base, "patroni", "patronictl.yaml")
}

// findConfig gives the configuration that a command uses: the one that was named, which has to be
// readable, else the one that is there, else that of an agent which runs on this machine, so that a
// command works in a node's container without being told. Empty: there is none, the environment alone
// counts. patronictl's own place wins, so a machine that has it behaves as before.
func (e *env) findConfig() (string, error) {
	path := e.global.configFile.value
	if path == "" {
		path = e.getenv("PATRONICTL_CONFIG_FILE")
	}
	if path != "" {
		if !readable(path) {
			return "", worded("Provided config file %s not existing or no read rights. Check the -c/--config-file parameter", path)
		}
		return path, nil
	}
	list := e.places()
	if readable(list[0]) {
		return list[0], nil
	}
	if e.environmentOnly() {
		return "", nil
	}
	found := slices.DeleteFunc(list[1:], func(p string) bool { return !readable(p) })
	usual := len(found)
	for _, p := range agentConfigs(e.proc) {
		if e.usable(p) && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	if err := oneCluster(found); err != nil {
		return "", err
	}
	if usual == 0 && terminal(e.err) {
		e.hint("Configuration: %s, of an agent that runs here", found[0])
	}
	return found[0], nil
}

// oneCluster refuses to choose between the configurations of different clusters: who types a command without
// -c means the cluster that this machine belongs to, and can't see which of two was taken.
func oneCluster(paths []string) error {
	if len(paths) == 1 {
		return nil
	}
	var clusters []*config.Config
	var lines []string
	for _, path := range paths {
		cfg, _, err := config.LoadControl(path, environment())
		if err == nil && slices.ContainsFunc(clusters, func(c *config.Config) bool { return c != nil && sameCluster(c, cfg) }) {
			continue
		}
		clusters = append(clusters, cfg)
		switch {
		case err != nil:
			lines = append(lines, path+" (can't be used)")
		case cfg.Scope == "":
			lines = append(lines, path)
		default:
			lines = append(lines, path+" (cluster "+cfg.Scope+")")
		}
	}
	if len(clusters) == 1 {
		return nil
	}
	return worded("Configurations of different clusters are here, name one with -c:\n  %s", strings.Join(lines, "\n  "))
}

// sameCluster reports whether two configurations lead to the same keys. Nodes of one cluster need not name the same
// members of etcd, but one at least. A configuration without a scope makes the user name the cluster, so it mistakes
// none for another.
func sameCluster(a, b *config.Config) bool {
	if a.Namespace != b.Namespace || a.Scope != "" && b.Scope != "" && a.Scope != b.Scope || a.Etcd.SRV != b.Etcd.SRV {
		return false
	}
	if (a.Citus == nil) != (b.Citus == nil) || a.Citus != nil && a.Citus.Group != b.Citus.Group {
		return false
	}
	return a.Etcd.SRV != "" || slices.ContainsFunc(a.Etcd.Hosts, func(h string) bool { return slices.Contains(b.Etcd.Hosts, h) })
}

// environment is that of the process; a variable that is set to nothing counts as unset.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { _, value, _ := strings.Cut(v, "="); return value == "" })
}

// environmentOnly reports whether the environment or -d already say where etcd is: then patronictl would
// have worked without a file, and a file must not change what it does.
func (e *env) environmentOnly() bool {
	if e.global.dcsURL.value != "" || e.getenv("DCS_URL") != "" || e.getenv("PATRONI_CONFIGURATION") != "" {
		return true
	}
	for _, dcs := range []string{"ETCD3", "ETCD"} {
		for _, key := range []string{"HOST", "HOSTS", "URL", "PROXY", "SRV"} {
			if e.getenv("PATRONI_"+dcs+"_"+key) != "" {
				return true
			}
		}
	}
	return false
}

// searched tells where a configuration was looked for.
func (e *env) searched() string {
	text := "Looked for a configuration in " + strings.Join(e.places(), ", ") + ", and for an agent running on this machine"
	if len(e.passedOver) > 0 {
		text += " (not used: " + strings.Join(e.passedOver, ", ") + ")"
	}
	return text + "; name one with -c."
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}
