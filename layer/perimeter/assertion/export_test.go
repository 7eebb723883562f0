package assertion

// Kept is how many tokens s keeps.
func (s *Signer) Kept() int { return len(s.tokens) }
