package depth

import "slices"

// asker yields sets and reports false when the search is to end: it was closed, or has no runs left.
type asker func(sets ...Set) bool

// steps is the whole procedure, as a coroutine that yields the sets that it needs to know about.
func (s *Search) steps(yield func([]Set) bool) {
	ask := func(sets ...Set) bool {
		sets = slices.DeleteFunc(slices.Clone(sets), func(set Set) bool { _, known := s.known[set]; return known })
		if len(sets) == 0 {
			return true
		}
		if len(sets) > s.left {
			return false
		}
		s.left, s.result.Runs = s.left-len(sets), s.result.Runs+len(sets)
		return yield(sets)
	}
	if !s.controls(ask) || !s.guess(ask) {
		return
	}
	closed := s.depth(ask) && s.solo(ask)
	s.result.Proven = s.effective(ask) && closed
	if closed && s.result.Depth >= 0 {
		s.rest(ask)
	}
}

// controls are the two runs without which no other counts. They report whether there is more to find.
func (s *Search) controls(ask asker) bool {
	if !ask(0, s.layers) {
		return false
	}
	r := &s.result
	r.Breach = s.known[0] == Harm
	r.Valid = s.known[s.layers] == Harm
	if r.Breach {
		r.Depth, r.Effective, r.Proven, r.Complete, r.Cuts = 0, 0, true, true, []Set{0}
	}
	return r.Valid && !r.Breach
}

// guess looks whether what is expected is so: that each of these units stops it alone, and that it gets through where just they are out.
// If all of that holds, nothing else can stop it, for what does harm without them does so without them and others. The common causes,
// all at once, are asked for in the same breath, because what waits for the same copies need not wait twice.
func (s *Search) guess(ask asker) bool {
	expected := s.config.Expect & s.layers
	sets := []Set{expected}
	for _, u := range expected.Units() {
		sets = append(sets, s.layers&^Of(u))
	}
	if causes := s.all &^ s.layers; causes != 0 {
		sets = append(sets, causes)
	}
	if !ask(sets...) {
		return false
	}
	for _, u := range expected.Units() {
		if s.known[s.layers&^Of(u)] == Stopped {
			s.blockers[s.layers] = append(s.blockers[s.layers], Of(u))
		}
	}
	return true
}

// depth looks for the smallest cut of layers' units.
func (s *Search) depth(ask asker) bool {
	cut, found, ok := s.smallest(ask, s.layers, s.layers.Len()+1)
	if found {
		s.result.Depth, s.result.Cuts = cut.Len(), []Set{cut}
	}
	return ok
}

// solo finds the units that stop it alone: they are in every cut, so in the one that was found.
func (s *Search) solo(ask asker) bool {
	if s.result.Depth < 0 {
		return true
	}
	cut := s.result.Cuts[0]
	for _, u := range cut.Units() {
		stops, ok := s.stops(ask, s.layers&^Of(u))
		if !ok {
			return false
		}
		if stops {
			s.result.Solo |= Of(u)
		}
	}
	s.result.Complete = cut == s.result.Solo
	return true
}

// effective looks for a smaller one with common causes.
func (s *Search) effective(ask asker) bool {
	r := &s.result
	r.Effective = r.Depth
	if ok := s.single(ask); !ok {
		return false
	}
	limit := r.Depth
	if limit < 0 {
		limit = s.layers.Len() + 1
	}
	if len(r.Causes) > 0 {
		r.Effective = min(limit, 1)
		return true
	}
	if s.layers == s.all || limit <= 2 { // no single cause does it, and two units were found without one
		return true
	}
	cut, found, ok := s.smallest(ask, s.all, limit)
	if found {
		r.Effective, r.Causes = cut.Len(), []Set{cut}
	}
	return ok
}

// single tries the common causes one by one, unless even all of them together do not suffice.
func (s *Search) single(ask asker) bool {
	var sets []Set
	for _, c := range (s.all &^ s.layers).Units() {
		if o, known := s.Implied(Of(c)); !known || o != Stopped {
			sets = append(sets, Of(c))
		}
	}
	if !ask(sets...) {
		return false
	}
	for _, set := range sets {
		if s.known[set] != Stopped {
			s.result.Causes = append(s.result.Causes, set)
		}
	}
	return true
}

// rest looks for further cuts of layers' units, as long as there are runs for that.
func (s *Search) rest(ask asker) {
	s.left = min(s.left, s.config.More)
	for !s.result.Complete {
		cut, found, ok := s.smallest(ask, s.layers, s.layers.Len()+1)
		if !ok {
			return
		}
		if !found {
			s.result.Complete = true
			return
		}
		s.result.Cuts = append(s.result.Cuts, cut)
	}
}

// smallest finds a cut within the units, of fewer than below of them, that contains no cut found before, and than which there is no smaller one.
// It is not ok if the search ended before that was certain.
func (s *Search) smallest(ask asker, units Set, below int) (cut Set, found, ok bool) {
	for {
		try, exists, certain := hitting(s.blockers[units], s.result.Cuts, below)
		if !exists {
			return 0, false, certain
		}
		o, implied := s.Implied(try)
		if try == 0 { // it is no breach, or the search had ended
			o = Stopped
		} else if !implied {
			if !ask(try) {
				return 0, false, false
			}
			o = s.known[try]
		}
		if o != Stopped {
			return try, true, true
		}
		blocker, ok := s.shrink(ask, units, 0, (units &^ try).Units())
		if !ok {
			return 0, false, false
		}
		s.blockers[units] = append(s.blockers[units], blocker)
	}
}

// Implied is what the runs that were told say of a set, if harm is monotone; it is false if they say nothing. Where they contradict each other, harm is believed.
func (s *Search) Implied(set Set) (Outcome, bool) {
	if o, ok := s.known[set]; ok {
		return o, true
	}
	for _, k := range s.order {
		if s.known[k] == Harm && k.In(set) {
			return Harm, true
		}
	}
	for _, k := range s.order {
		if s.known[k] == Stopped && set.In(k) {
			return Stopped, true
		}
	}
	return Unsure, false
}

// shrink finds a minimal set of units among those that stops the attack together with base, all other units being out. All
// of them together are known to. It halves rather than take one after the other: a blocker is a few units among dozens (Junker's QuickXplain).
func (s *Search) shrink(ask asker, units, base Set, among []int) (blocker Set, ok bool) {
	stops, ok := s.stops(ask, units&^base)
	if !ok || stops {
		return 0, ok
	}
	return s.halve(ask, units, base, among)
}

// halve is shrink where base alone is known not to stop the attack.
func (s *Search) halve(ask asker, units, base Set, among []int) (blocker Set, ok bool) {
	if len(among) <= 1 {
		return Of(among...), true
	}
	first, second := split(among)
	two, ok := s.shrink(ask, units, base|Of(first...), second)
	if !ok {
		return 0, false
	}
	one := Set(0)
	if two == 0 { // base does not stop it, and nothing of the second half is needed
		one, ok = s.halve(ask, units, base, first)
	} else {
		one, ok = s.shrink(ask, units, base|two, first)
	}
	return one | two, ok
}

// split halves by number, not by count: then searches that look among nearly the same units ask for the same sets.
func split(among []int) (first, second []int) {
	for low, high := 0, MaxUnits; ; {
		middle := (low + high) / 2
		at, _ := slices.BinarySearch(among, middle)
		switch at {
		case 0:
			low = middle
		case len(among):
			high = middle
		default:
			return among[:at], among[at:]
		}
	}
}

func (s *Search) stops(ask asker, out Set) (stops, ok bool) {
	o, implied := s.Implied(out)
	if !implied {
		if !ask(out) {
			return false, false
		}
		o = s.known[out]
	}
	return o == Stopped, true
}

// maxNodes bounds the search for one hitting set; dozens of blockers of a few units each need thousands.
const maxNodes = 1 << 20

// hitting finds a smallest set of fewer than below units that has one of every blocker and contains none of the cuts. It is certain
// unless it gave up.
func hitting(blockers, cuts []Set, below int) (set Set, exists, certain bool) {
	nodes := maxNodes
	for size := range below {
		if set, exists = descend(blockers, cuts, 0, size, &nodes); exists || nodes <= 0 {
			return set, exists, exists || nodes > 0
		}
	}
	return 0, false, true
}

// descend looks for one with at most so many units more than begun.
func descend(blockers, cuts []Set, begun Set, more int, nodes *int) (set Set, found bool) {
	if *nodes--; *nodes <= 0 || slices.ContainsFunc(cuts, func(c Set) bool { return c.In(begun) }) {
		return 0, false
	}
	open, unhit := Set(0), false // the smallest blocker that is not hit yet, so that there is little to branch on
	for _, b := range blockers {
		if b&begun == 0 && (!unhit || b.Len() < open.Len()) {
			open, unhit = b, true
		}
	}
	if !unhit || more == 0 {
		return begun, !unhit
	}
	for _, u := range open.Units() {
		if set, found := descend(blockers, cuts, begun|Of(u), more-1, nodes); found {
			return set, true
		}
	}
	return 0, false
}
