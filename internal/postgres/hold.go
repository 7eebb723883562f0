package postgres

// Hold takes the folder of a cluster that does not run, so that it can be thrown away, and returns what lets go of it. Like
// Start, it is refused while the cluster belongs to a process, with that process's name.
func Hold(dir string) (release func(), err error) {
	held, _, err := take(Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	return held.release, nil
}

// Reachable reports whether the account that the server would run as can get to dir, which must exist. Started by root, that is
// another account, and a parent folder may keep it out.
func Reachable(b Binaries, dir string) error {
	c := Config{Binaries: b, Dir: dir}
	who, err := serverAccount(c.data())
	if err != nil {
		return err
	}
	return who.checkReach(c)
}
