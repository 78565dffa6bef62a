package sim

// serverHardships are those of servers, data and devices.
var serverHardships = []hardship{
	{name: limitsRaised, strike: (*world).raiseLimits},
	{name: namesFail, begin: synchronously, strike: (*world).failNames},
	{name: dataUnreadable, strike: (*world).hideData},
	{name: controlUnreadable, strike: (*world).hideControl},
	{name: dataRemoved, strike: (*world).removeInPause},
	{name: serverMute, begin: impatient, strike: (*world).muteLeader},
	{name: slowStarts, begin: impatient, strike: (*world).startSlowly},
	{name: foreignData, strike: (*world).bringForeign},
	{name: identityLost, begin: closed, strike: (*world).loseIdentity},
	{name: identityPaused, strike: (*world).disturbIdentity},
	{name: rewindCutOff, begin: rewinding, strike: (*world).depose},
	{name: rewindFails, runs: 16, begin: rewinding, strike: (*world).depose},
	{name: rewindForbids, begin: forbidRewind, strike: (*world).deposeForbidden},
	{name: walRecycled, strike: (*world).recycleWAL},
	{name: watchdogFails, begin: watchdogs, strike: (*world).failWatchdog},
	{name: pausedEarly, strike: (*world).orderAway, key: pauseEarly},
	{name: copiedBehind, runs: 24, begin: (*world).keepBackups, strike: (*world).loseListed},
	{name: archiverBusy, strike: (*world).pileUp},
	{name: historyShort, runs: 12, begin: shortHistory, strike: (*world).succeed},
}
