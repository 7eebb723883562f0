// Package report is what a drill has found out, as JSON has it and as pictures are drawn from it. It holds nouns and decides nothing.
package report

import "time"

// A Report is everything that a drill has found out; it is what --json writes.
type Report struct {
	Format   int       `json:"format"` // 1
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"`
	Seed     uint64    `json:"seed"`
	Machine  string    `json:"machine"`  // "linux/amd64, 2 processors, PostgreSQL 15.18"
	Complete bool      `json:"complete"` // it was not interrupted, and nothing was left out

	Units   []Unit   `json:"units"`           // layers outside-in, then common causes
	Attacks []Attack `json:"attacks"`         // by group
	Pairs   []Pair   `json:"pairs,omitempty"` // every two units that were out together; empty without --pairs

	Configurations int      `json:"configurations"` // copies that were attacked
	Runs           int      `json:"runs"`           // attacks that were carried out
	Controls       int      `json:"controls"`       // days of legitimate use
	Faults         []string `json:"faults"`         // what makes the drill fail, in sentences
	Anomalies      []string `json:"anomalies"`      // what contradicts what was expected, in sentences
}

// A Unit is one thing that was taken out.
type Unit struct {
	Name   string `json:"name"`
	Layer  string `json:"layer"` // "" for a common cause
	What   string `json:"what"`
	Gone   string `json:"gone"`
	Bites  string `json:"bites"`            // "" if taking it out was seen to matter; else why not
	Solo   int    `json:"solo"`             // attacks that it stops alone
	Last   int    `json:"last"`             // attacks that nothing else stops
	Missed bool   `json:"missed,omitempty"` // the copy's code has asked for it while it was out
}

// An Attack is what was found out about one.
type Attack struct {
	Name   string   `json:"name"`
	Threat string   `json:"threat,omitempty"`
	Group  string   `json:"group"`
	Title  string   `json:"title"`
	Expect []string `json:"expect"`
	Honest string   `json:"honest,omitempty"`

	Valid     bool       `json:"valid"`     // it does harm with everything out
	Breach    bool       `json:"breach"`    // it does harm with everything in place
	Depth     int        `json:"depth"`     // the fewest units of layers that have to be out; -1 if not found within the bound
	Effective int        `json:"effective"` // the same, where a common cause costs one too
	Solo      []string   `json:"solo"`      // units that stop it alone, everything else being out
	Company   []string   `json:"company"`   // units that stop it in company: they are in a minimal set, but do not stop it alone
	Cuts      [][]string `json:"cuts"`      // minimal sets of layers' units whose absence lets it do harm, as far as they were found
	Causes    [][]string `json:"causes"`    // the same with a common cause in each
	By        string     `json:"by"`        // the layer that refused with everything in place, by its own word; "" if none said so
	Agrees    bool       `json:"agrees"`    // By is the layer of a unit in some cut, or nobody said
	Runs      []Run      `json:"runs"`      // what was tried
}

// The outcomes of a run.
const (
	Harm    = "harm"    // it was done
	Stopped = "stopped" // it was not
	Crashed = "crashed" // the copy, or an answer of it, went to pieces: this is no stop
	Failed  = "failed"  // the attack could not be carried out
	Hung    = "hung"    // it did not come to an end
)

// A Run is one attack on one copy.
type Run struct {
	Out     []string `json:"out"` // units that were out
	Outcome string   `json:"outcome"`
	By      string   `json:"by,omitempty"`   // the last layer that refused, by its word
	Note    string   `json:"note,omitempty"` // why it failed
	Steps   []Step   `json:"steps,omitempty"`
	Millis  int64    `json:"ms"`
}

// A Step is one thing that an attack did.
type Step struct {
	Who    string `json:"who"`
	Did    string `json:"did"`
	Answer string `json:"answer"`
}

// A Pair is two units that were out together.
type Pair struct {
	A       string   `json:"a"`
	B       string   `json:"b"`
	Attacks []string `json:"attacks"` // that did harm then, and with neither alone
}

// An Event tells, while a drill goes on, that one configuration is done.
type Event struct {
	Configuration string        // "everything in place", "without rls/floor", "rls/floor alone", "without rls/floor and rls/require"
	Done, Total   int           // configurations; Total grows as more turn out to be needed
	Runs          int           // attacks that were carried out so far
	Harm          []string      // names of the attacks that did harm there
	Faults        []string      // what went wrong there, in sentences
	Took          time.Duration // from the start of the copy to its end
}
