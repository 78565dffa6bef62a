package sim

// clusterHardships are those of orders, keys and standby clusters.
var clusterHardships = []hardship{
	{name: heirCutOff, strike: (*world).orderAway, decided: cutHeirsOff},
	{name: stopFrozen, strike: (*world).orderAway, decided: freezeStopping},
	{name: endInJob, decided: endTheAgent},
	{name: lateOrder, strike: (*world).orderAway, key: orderTheFormer},
	{name: bothGone, begin: (*world).oneSynchronous, strike: (*world).loseBoth},
	{name: overwrittenPaused, strike: (*world).overwritePaused},
	{name: slowNews, strike: (*world).deleteSlowly},
	{name: restartAlone, strike: (*world).restartWithoutEtcd},
	{name: restored, runs: 16, strike: (*world).restoreBackup},
	{name: founderStruck, runs: 24, begin: (*world).leaveEmpty},
	{name: unfitFirst, begin: (*world).unfitComeFirst},
	{name: lateSync, runs: 24, begin: (*world).synchronousOnly, strike: (*world).parts, decided: holdSync, key: arriveLate},
	{name: promotionHangs, runs: 24, begin: impatientOften, strike: (*world).changeLead},
	{name: slotsCopied, begin: (*world).haveSlot},
	{name: slotsSynced, begin: (*world).haveNativeSlot},
	{name: standbyStarts, standby: true, strike: (*world).failStarts},
	{name: standbyEmpty, standby: true, strike: (*world).emptyLeader},
	{name: standbyNoHost, standby: true, begin: (*world).forgetHost},
	{name: standbyPaused, standby: true, strike: (*world).turnPaused},
	{name: standbyRewind, standby: true, begin: (*world).withoutRewind, strike: (*world).turnBack, decided: allowRewind},
	{name: youngLost, begin: replaying, strike: (*world).loseYoung, key: dieYoung},
	{name: copyNobody, strike: (*world).copyFromNobody},
	{name: startedOld, begin: (*world).asynchronously, strike: (*world).startOld},
	{name: startedFar, standby: true, strike: (*world).startFar},
}
