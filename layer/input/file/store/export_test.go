package store

import "io/fs"

// For tests alone.
const (
	MaxConnections = maxConnections
	MaxSwept       = maxSwept
	Leftover       = leftover
	Unfinished     = unfinished
)

// Parts is of a Key.
func (k Key) Parts() (organization, spread, name string, err error) { return k.parts() }

// OpenFound opens what was found a moment ago.
func (d *Dir) OpenFound(path string, found fs.FileInfo) (*Content, error) { return d.open(path, found) }
