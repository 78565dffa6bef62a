package explain

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/ha"
)

// Reason is one fact that led to a decision, and the rule that gave it.
type Reason struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// Statement is what a member says of itself at GET /explain: its last decision, and what it observes. It keeps
// no secret that other GET requests would.
type Statement struct {
	Name  string `json:"name"`
	Hathi string `json:"hathi"` // hathi's version
	Role  string `json:"role"`
	State string `json:"state"`
	// Action is the name of the decision's action, such as "Wait"; Arguments is what it takes.
	Action    string          `json:"action"`
	Arguments json.RawMessage `json:"arguments"`
	Reasons   []Reason        `json:"reasons"`
	// AgeMS is how long ago that was decided, in milliseconds.
	AgeMS int64 `json:"age_ms"`
	// Observation is for hathi explain of the same version; other programs should not rely on its shape.
	Observation ha.Observation `json:"observation"`
}

// State makes a member's statement. The observation may be newer than the decision: decided is how long ago
// that was made.
func State(version, role, state string, o ha.Observation, d ha.Decision, decided time.Duration) Statement {
	if o.Server.RestoreCommand != "" {
		o.Server.RestoreCommand = "set" // it may hold a password, and that there is one is all that counts
	}
	o.Peers = nil // whoever asks has newer answers
	arguments, err := json.Marshal(d.Action)
	if err != nil {
		arguments = json.RawMessage("{}") // actions are plain values; this can't be
	}
	return Statement{
		Name: o.Self.Name, Hathi: version, Role: role, State: state,
		Action: actionName(d.Action), Arguments: arguments, Reasons: reasons(d),
		AgeMS: decided.Milliseconds(), Observation: o,
	}
}

func actionName(a ha.Action) string {
	name := fmt.Sprintf("%T", a)
	return name[strings.LastIndexByte(name, '.')+1:]
}

func reasons(d ha.Decision) []Reason {
	out := make([]Reason, 0, len(d.Reasons))
	for _, r := range d.Reasons {
		out = append(out, Reason(r))
	}
	return out
}
