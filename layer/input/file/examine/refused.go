package examine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/document"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// A Refused is the cause of a refusal: why a file is not taken, for the audit trail. Its name is of this package's vocabulary, of
// picture's or of document's; nothing in it comes from the file.
type Refused struct {
	Name string
	Err  error // of the process in which the file was looked at, a *sandbox.Fault; nil where it gave an answer
}

// Error implements error.
func (r *Refused) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("file refused: %s: %v", r.Name, r.Err)
	}
	return "file refused: " + r.Name
}

// Unwrap gives Err to errors.Is and errors.As.
func (r *Refused) Unwrap() error { return r.Err }

// The names that this package adds.
const (
	badEnding   = "ending"         // of a name by which a system would start the file
	macroEnding = "macro_ending"   // of a name that promises macros
	empty       = "empty"          // no bytes
	tooLarge    = "too_many_bytes" // for every kind that is accepted
	unknown     = "unknown_kind"   // not recognised
	notAccepted = "not_accepted"   // recognised, and not what is asked for here
	unreadable  = "unreadable"     // less is there than was said
	tooMuch     = "too_much_made"  // the renditions together are too large
	tooMuchWork = "too_much_work"  // the worker used up what it may
	breaks      = "breaks_reader"  // the worker broke, or was broken
	lies        = "lying_reader"   // the worker's answer cannot be true
	noWorker    = "no_worker"      // the machine's fault, not the file's
)

const (
	saysUnreadable = "The file cannot be read."
	saysUnknown    = "Files of this kind cannot be taken."
)

// tooLarges are the names, also of the other vocabularies, that stand for a bound that was met.
var tooLarges = []string{tooLarge, tooMuch,
	"too_wide", "too_many_pixels", "too_many_frames", "too_many_scans", "too_many_entries", "too_large_inside", "bomb"}

func refuse(reason layer.Reason, name, public string, err error) error {
	return &layer.Refusal{By: layer.Input, Reason: reason, Public: public, Cause: &Refused{name, err}}
}

func refusedByEnding(ending string) error {
	switch {
	case slices.Contains(withMacros, ending):
		return refuse(layer.Unsupported, macroEnding, "Documents with macros cannot be taken. Save it without them.", nil)
	case startable(ending):
		return refuse(layer.Unsupported, badEnding, "Files whose name ends like this cannot be taken.", nil)
	}
	return nil
}

func refusedBySize(size, most int64) error {
	switch {
	case size <= 0:
		return refuse(layer.Invalid, empty, "The file is empty.", nil)
	case size > most:
		return refuse(layer.TooLarge, tooLarge, fmt.Sprintf("The file is too large. It may have %d MB.", most>>20), nil)
	}
	return nil
}

// refusedByFault is for a worker that gave no answer. A file that uses up or breaks its reader is not taken, and sending it
// again is of no use; a machine that has no time for it says so.
func refusedByFault(err error) error {
	var fault *sandbox.Fault
	switch {
	case !errors.As(err, &fault):
		return err // a refusal of the sandbox's queue
	case fault.Ours():
		return refuse(layer.Unavailable, noWorker, "The file could not be looked at just now. Try again.", fault)
	case fault.Name == sandbox.Overworked, fault.Name == sandbox.Exhausted:
		return refuse(layer.Invalid, tooMuchWork, "The file takes too much time or memory to read. Make it smaller, or save it again.", fault)
	}
	return refuse(layer.Invalid, breaks, saysUnreadable, fault)
}

// refusedByAnswer is for a worker that refused the file. Its word is a name, and counts if it is in a vocabulary.
func (j Job) refusedByAnswer(kind Kind, name string) error {
	reason := layer.Invalid
	switch {
	case slices.Contains(tooLarges, name):
		reason = layer.TooLarge
	case name == unreadable:
	case kind == "", name == notAccepted:
		reason = layer.Unsupported
	}
	public, ok := j.says(kind, name)
	if !ok {
		return liar()
	}
	return refuse(reason, name, public, nil)
}

// says is the sentence of a name: one of ours, or of the package that looked at the file.
func (j Job) says(kind Kind, name string) (string, bool) {
	switch name {
	case unknown:
		return saysUnknown + " " + j.accepted(), true
	case notAccepted:
		return j.accepted(), true
	case unreadable:
		return saysUnreadable, true
	case tooMuch:
		return "The pictures made of it would be too large. Make it smaller.", true
	}
	if p, ok := picture.Known(name); ok && (kind == "" || kind.Image()) {
		return p.Public, true
	}
	if d, ok := document.Known(name); ok && !kind.Image() {
		return d.Public, true
	}
	return "", false
}

// accepted is a sentence that says what will do.
func (j Job) accepted() string {
	var all []string
	for _, k := range j.Accept {
		all = append(all, k.shown())
	}
	if len(all) == 1 {
		return "Only " + all[0] + " can be taken here."
	}
	last := len(all) - 1
	return "Only " + strings.Join(all[:last], ", ") + " and " + all[last] + " can be taken here."
}
