package cli

import "github.com/spf13/cobra"

// nodeCommands are those that patronictl does not have: what runs on a node, the try-out, and explain. Each has a
// constructor like newList in a file of its own, and is added to the list here.
func (e *env) nodeCommands() []*cobra.Command {
	if e.contract() {
		return nil // patronictl knows none of them
	}
	return []*cobra.Command{newRun(e), newAgent(e), newGuard(e), newPlayground(e), newExplain(e), newDoctor(e), newCompletion(e)}
}
