package ctl

import "context"

// Acknowledgement is what a user has to type before a cluster is removed.
const Acknowledgement = "Yes I am aware"

// Removal is the removal of a cluster from etcd while the user is being asked. Each answer is checked at once,
// because a wrong one must end the questions.
type Removal struct {
	Cluster string // as the user named it
	Scope   string // as etcd knows it
	Leader  string // empty: none
}

// CheckName refuses a name that is not the cluster's.
func (r Removal) CheckName(answer string) error {
	if answer != r.Cluster {
		return refuse("Cluster names specified do not match")
	}
	return nil
}

// CheckAware refuses anything but the acknowledgement.
func (r Removal) CheckAware(answer string) error {
	if answer != Acknowledgement {
		return refuse("You did not exactly type %q", Acknowledgement)
	}
	return nil
}

// CheckLeader refuses a name that is not the leader's.
func (r Removal) CheckLeader(answer string) error {
	if answer != r.Leader {
		return refuse("You did not specify the current leader of the cluster")
	}
	return nil
}

// Remove deletes every key of the cluster and gives how many there were.
func (c *Control) Remove(ctx context.Context, r Removal) (int64, error) {
	return c.store().DeleteCluster(ctx, r.Scope)
}
