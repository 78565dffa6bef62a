package sim

// serverHardships are those of servers, data and devices.
var serverHardships = []hardship{
	{name: limitsRaised, strike: (*world).raiseLimits},
	{name: namesFail, begin: synchronously, strike: (*world).failNames},
}

// troubles are those of one server.
type troubles struct {
	limited   int  // the life in which it has met higher limits of its primary than its own
	namesFail bool // synchronous_standby_names can't be set
}

// mend ends all that do not end by themselves.
func (t *troubles) mend() { t.namesFail = false }
