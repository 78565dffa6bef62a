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
	{name: unfitFirst, begin: (*world).unfitComeFirst},
	{name: lateSync, runs: 24, begin: (*world).synchronousOnly, strike: (*world).parts, decided: holdSync, key: arriveLate},
}
