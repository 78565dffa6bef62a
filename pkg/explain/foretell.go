package explain

// Foretell gives the verdict on a request for a switchover, to the candidate if one is named. known is false if the
// leader could not be asked, for it runs Patroni or does not answer.
func (r Report) Foretell(candidate string) (v Verdict, known bool) {
	for _, reason := range r.Switchover.Reasons {
		if reason.Rule == unaskedRule {
			return Verdict{}, false
		}
	}
	if candidate == "" {
		return r.Switchover.Verdict, true
	}
	m, _ := r.member(candidate)
	if m.Switchover == nil {
		return Verdict{}, false
	}
	return *m.Switchover, true
}

// Behind gives how many bytes of WAL a member lacks of the leader's, nil if that is not known.
func (r Report) Behind(name string) *uint64 {
	m, _ := r.member(name)
	if m.IfLeaderDied == nil {
		return nil
	}
	return m.IfLeaderDied.BehindBytes
}

func (r Report) member(name string) (Member, bool) {
	for _, m := range r.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}
