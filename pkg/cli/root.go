package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// controlCommands are the commands that patronictl has, too.
func (e *env) controlCommands() []*cobra.Command {
	return []*cobra.Command{
		newDemoteCluster(e), newDSN(e), newEditConfig(e), newFailover(e), newFlush(e), newHistory(e), newList(e), newPause(e, true), newPromoteCluster(e), newQuery(e), newReinit(e),
		newReload(e), newRemove(e), newRestart(e), newPause(e, false), newShowConfig(e), newSwitchover(e), newTopology(e), newVersion(e),
	}
}

func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:   e.name,
		Short: "Command-line interface for interacting with hathi and Patroni clusters.",
		// Options before the command are its own affair: a command may use the same letters otherwise.
		TraverseChildren: true,
		SilenceUsage:     true,
		SilenceErrors:    true,
		Args:             cobra.ArbitraryArgs,
		// Two letters of a command's name may be wrong.
		SuggestionsMinimumDistance: 2,
	}
	root.CompletionOptions.DisableDefaultCmd = true // ours knows the names of the program
	root.Flags().SortFlags = false
	option(root, &e.global.configFile, "TEXT", "Configuration file", "--config-file", "-c")
	option(root, &e.global.dcsURL, "TEXT", "The DCS connect url", "--dcs-url", "--dcs", "-d")
	toggle(root, &e.global.insecure, "Allow connections to SSL sites without certs", "--insecure", "-k")
	if !e.contract() {
		root.Version = Version
		root.SetVersionTemplate("hathi version {{.Version}}\n")
		root.Flags().Bool("version", false, "Show the version and exit.")
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return e.noSuchCommand(cmd, args[0])
		case cmd.Flags().NFlag() > 0:
			return usageError{text: "Missing command."}
		}
		return cmd.Help()
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetHelpCommand(e.helpCommand())
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(e.out, e.usageLine(cmd), cmd) })
	root.AddCommand(e.controlCommands()...)
	root.AddCommand(e.nodeCommands()...)
	for _, cmd := range append(root.Commands(), root) {
		cmd.Flags().SortFlags = false
		helpFlag(cmd)
	}
	return root
}

// noSuchCommand names, beside the mistake, the commands that may have been meant; patronictl does not.
func (e *env) noSuchCommand(root *cobra.Command, name string) error {
	text := "No such command '" + name + "'."
	if !e.contract() {
		if near := root.SuggestionsFor(name); len(near) > 0 {
			text += " Did you mean " + strings.Join(near, " or ") + "?"
		}
	}
	return usageError{text: text}
}

// helpCommand shows the same as --help; patronictl has none.
func (e *env) helpCommand() *cobra.Command {
	return &cobra.Command{Use: "help", Hidden: true, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		if e.contract() {
			return usageError{text: "No such command 'help'."}
		}
		about, rest, err := cmd.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return usageError{text: "No such command '" + strings.Join(args, " ") + "'."}
		}
		return about.Help()
	}}
}

// helpFlag puts --help last.
func helpFlag(cmd *cobra.Command) {
	short := "h"
	if cmd.Flags().ShorthandLookup("h") != nil {
		short = ""
	}
	cmd.Flags().BoolP("help", short, false, "Show this message and exit.")
}
