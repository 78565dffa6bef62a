package cli

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those for which there is a script: how it is made, and the name of its file, which packages install.
var shells = []struct {
	name     string
	file     func(program string) string
	generate func(root *cobra.Command, w io.Writer) error
}{
	{"bash", func(p string) string { return p + ".bash" }, func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
	{"fish", func(p string) string { return p + ".fish" }, func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) }},
	{"powershell", func(p string) string { return p + ".ps1" }, (*cobra.Command).GenPowerShellCompletionWithDesc},
	{"zsh", func(p string) string { return "_" + p }, (*cobra.Command).GenZshCompletion},
}

// programs are the names under which commands are typed.
var programs = []string{"hathi", "patronictl"}

func newCompletion(e *env) *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	program := choice{value: "hathi", allowed: programs}
	metavar := "{" + strings.Join(names, "|") + "}"
	cmd := &cobra.Command{
		Use: "completion [OPTIONS] " + metavar, Short: "Print the script that makes a shell complete commands and live values",
		ValidArgs: names,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := positional(0, metavar)(cmd, args); err != nil {
				return err
			}
			shell := choice{allowed: names}
			if err := shell.Set(args[0]); err != nil {
				return usageError{text: "Invalid value for '" + metavar + "': " + err.Error()}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			for _, s := range shells {
				if s.name == args[0] {
					script, err := completionScript(program.value, s.generate)
					if err != nil {
						return err
					}
					_, err = e.out.Write(script)
					return err
				}
			}
			return nil
		},
	}
	option(cmd, &program, "["+strings.Join(programs, "|")+"]", "The name under which commands are typed", "--program")
	return cmd
}

func completionScript(program string, generate func(root *cobra.Command, w io.Writer) error) ([]byte, error) {
	var script bytes.Buffer
	err := generate(newEnv(program, strings.NewReader(""), io.Discard, io.Discard).root(), &script)
	return script.Bytes(), err
}
