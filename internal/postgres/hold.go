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
