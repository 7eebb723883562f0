package sandbox

import "slices"

// A protection is one thing that stands between a worker and everything else.
type protection string

// The protections. Those after process are named by the worker itself, before it reads the first byte of the file; a worker that
// names fewer than New's did is refused.
const (
	process     protection = "process"     // always
	namespaces  protection = "namespaces"  // Linux, where users may make them, or root
	limits      protection = "limits"      // everywhere
	descriptors protection = "descriptors" // Linux: none can be opened
	privileges  protection = "privileges"  // Linux: none can be gained, none is root's
	filter      protection = "filter"      // Linux on amd64 and arm64
)

var sentences = []struct {
	held          protection
	with, without string
}{
	{process, "each file is read in a process of its own, which ends after it", ""},
	{namespaces, "the process has users, processes, mounts and a network of its own, with nothing in them",
		"NOT HELD: namespaces; the system does not let this program make any"},
	{limits, "processor time, memory and the size of files are limited by the kernel", ""},
	{descriptors, "no file and no socket can be opened: the limit on descriptors is zero",
		"NOT HELD: the limit on descriptors; the process could open files and sockets of its user's"},
	{privileges, "no privilege can be gained, and the process is not root's", "NOT HELD: the process keeps its user's privileges"},
	{filter, "any system call but those of a program that computes ends the process",
		"NOT HELD: the filter of system calls; there is none on this system"},
}

// Describe says, in sentences for people who run the system, what protects the program from the workers here, and what is missing.
func (b *Box) Describe() (all []string) {
	held := append([]protection{process}, b.held...)
	if b.way.namespaces {
		held = append(held, namespaces)
	}
	for _, s := range sentences {
		if slices.Contains(held, s.held) {
			all = append(all, s.with)
		} else {
			all = append(all, s.without)
		}
	}
	return all
}
