package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hathi-ha/hathi/pkg/process"
)

// A server that was told to become a primary will be one some time, if it lives, and does not show that before. So it is
// written down which postmaster was told, for an agent that is started meanwhile.

// promotingMark names that postmaster. Of the content it says nothing.
func promotingMark(dir string) string { return dir + ".hathi-promoting" }

// savedTold gives the postmaster that an agent before this one has told; empty: none.
func savedTold(dir string) string {
	b, _ := os.ReadFile(promotingMark(dir)) // without it there is none
	return string(b)
}

// identity names one life of a postmaster.
func identity(h *process.Handle) string { return fmt.Sprint(h.PID(), " ", h.StartTicks()) }

// noteTold is called before a postmaster is told. It survives no machine, so it need not be on disk; and a disk that is
// full keeps nobody from being promoted.
func (i *Instance) noteTold(h *process.Handle) {
	id := identity(h)
	i.mu.Lock()
	i.told = id
	i.mu.Unlock()
	if err := os.WriteFile(promotingMark(i.config().DataDir), []byte(id), 0o600); err != nil {
		i.log.Warn("should this agent end now, the next one will not know that postgres is being promoted", "error", err)
	}
}

// wasTold reports whether this postmaster was told, or may have been.
func (i *Instance) wasTold(h *process.Handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return h != nil && i.told == identity(h)
}

// forgetTold is called when the server is a primary.
func (i *Instance) forgetTold() {
	i.mu.Lock()
	i.told = ""
	i.mu.Unlock()
	if err := os.Remove(promotingMark(i.config().DataDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		// It does no harm: the postmaster that it names is a primary as long as it lives.
		i.log.Warn("could not remove the mark of a promotion that has ended", "file", promotingMark(i.config().DataDir), "error", err)
	}
}
