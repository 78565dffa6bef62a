package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
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
// major upgrade. A number that is out of range gives way to the nearest that is not. PostgreSQL itself is the judge, so
// that each version's own rules count; names with a dot, which belong to extensions, are not judged.
// Patroni 4.1 carries tables of all settings for this (postgresql/validator.py).
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
		good = i.judgeEach(ctx, cfg, good)
	}
	if ctx.Err() == nil {
		i.mu.Lock()
		*memory = validated{of: of, good: good}
		i.mu.Unlock()
	}
	return good
}

func (i *Instance) judgeEach(ctx context.Context, cfg Config, list []Parameter) []Parameter {
	var good []Parameter
	for _, p := range list {
		err := i.judge(ctx, cfg, []Parameter{p})
		if err == nil || ctx.Err() != nil {
			good = append(good, p)
			continue
		}
		near := Parameter{p.Name, nearest(err.Error())}
		if near.Value != "" && i.judge(ctx, cfg, []Parameter{near}) == nil {
			i.log.Warn("Value of parameter is out of range, taking the nearest that is not",
				"parameter", p.Name, "value", p.Value, "nearest", near.Value, "error", err)
			good = append(good, near)
			continue
		}
		i.log.Warn("Removing unexpected parameter from the config", "parameter", p.Name, "value", p.Value, "error", err)
	}
	return good
}

// outOfRange is how postgres refuses a number; all of them are in the base unit of the setting, which some versions
// name. Source: PostgreSQL 12 and 18, utils/misc/guc.c, parse_and_validate_value.
var outOfRange = regexp.MustCompile(`([-+.\de]+)(?: \w+)? is outside the valid range for parameter "[^"]*" ` +
	`\(([-+.\de]+)(?: \w+)? \.\. ([-+.\de]+)(?: \w+)?\)`)

// nearest gives the limit that a refused number is beyond; empty if it was refused for another reason.
func nearest(refusal string) string {
	m := outOfRange.FindStringSubmatch(refusal)
	if m == nil {
		return ""
	}
	value, err1 := strconv.ParseFloat(m[1], 64)
	least, err2 := strconv.ParseFloat(m[2], 64)
	switch {
	case err1 != nil || err2 != nil:
		return ""
	case value < least:
		return m[2]
	}
	return m[3]
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
