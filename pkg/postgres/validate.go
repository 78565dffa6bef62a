package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// validated remembers the outcome of the last validation.
type validated struct {
	of   string // the parameters and the program that judged them
	good []Parameter
}

// validSettings leaves out of a configuration what this PostgreSQL would refuse.
func (i *Instance) validSettings(ctx context.Context, cfg Config) Config {
	cfg.Parameters = i.validParameters(ctx, cfg, &i.validated, slices.DeleteFunc(slices.Clone(cfg.Parameters), func(p Parameter) bool {
		return slices.Contains(recoveryNames, strings.ToLower(p.Name)) // never written there
	}))
	cfg.Recovery = i.validParameters(ctx, cfg, &i.validatedRecovery, cfg.recoverySettings(majorVersion(cfg.DataDir)))
	return cfg
}

// recoverySettings are the user's that a version knows, under the names that it has for them.
func (c Config) recoverySettings(version int) []Parameter {
	var list []Parameter
	for _, p := range c.Recovery {
		name := strings.ToLower(p.Name)
		if name == "trigger_file" {
			name = triggerFile
		}
		if slices.Contains(recoveryOfUsers, name) && (name != triggerFile || hasTriggerFile.has(version)) {
			list = append(list, Parameter{name, p.Value})
		}
	}
	return list
}

// validParameters leaves out of the file's parameters those that this PostgreSQL would refuse: unknown names
// and values that are not allowed. One of them would keep the server from starting, as it happens after a
// major upgrade. PostgreSQL itself is the judge, so that each version's own rules count; names with a dot, which
// belong to extensions, are not judged.
// Patroni 4.1 carries tables of all settings for this (postgresql/validator.py); it moves a number that is
// out of range to the nearest that is not, where this leaves the setting out.
func (i *Instance) validParameters(ctx context.Context, cfg Config, memory *validated, good []Parameter) []Parameter {
	of := fmt.Sprint(cfg.program("postgres"), good)
	i.mu.Lock()
	last := *memory
	i.mu.Unlock()
	if last.of == of {
		return last.good
	}
	if err := i.judge(ctx, cfg, good); err != nil && ctx.Err() == nil {
		// Only now, and rarely, each one is looked at.
		good = slices.DeleteFunc(slices.Clone(good), func(p Parameter) bool {
			err := i.judge(ctx, cfg, []Parameter{p})
			if err == nil || ctx.Err() != nil {
				return false
			}
			i.log.Warn("Removing unexpected parameter from the config", "parameter", p.Name, "value", p.Value, "error", err)
			return true
		})
	}
	if ctx.Err() == nil {
		i.mu.Lock()
		*memory = validated{of: of, good: good}
		i.mu.Unlock()
	}
	return good
}

// judge has postgres parse the parameters as if they were on its command line, print one setting and end.
func (i *Instance) judge(ctx context.Context, cfg Config, list []Parameter) error {
	args := []string{"-D", cfg.DataDir, "--config-file=/dev/null"}
	for _, p := range list {
		if !strings.Contains(p.Name, ".") {
			args = append(args, "--"+p.Name+"="+p.Value)
		}
	}
	_, err := i.run(ctx, command{path: cfg.program("postgres"), args: append(args, "-C", "max_connections"), env: untranslated})
	return err
}
