// Package examine finds out what an uploaded file is and whether it may be kept, and draws pictures anew (SYSTEM N2). It joins
// packages picture and document, which know files, with package sandbox, which keeps what they meet away from everything else.
//
// # What it assumes has failed
//
// Everything before it, and the decoders behind it. The process that calls Examine never reads a byte of the file: it sends the
// file down, and believes of the answer only what it can check for itself, that is, kinds that were asked for, names of
// refusals that are in the vocabulary, sizes that were asked for, and a row of files that begin as they should.
//
// # What it stops
//
// Files that are not wholly of a kind that was asked for; names that end in what a system would start, whatever is in them; a
// decoder that crashes, or never ends, or takes all memory, or was taken over: that is the end of one process and one upload.
// Too many at once.
//
// # What it does not stop
//
// A decoder that was taken over can answer other pixels than those of the file, in pictures of the right size. What is in a
// document besides what package document looks for.
//
// # How it is knocked out in a drill
//
// The drill takes an Examiner that returns the file as it came, of the kind that its name claims. Then it is still stored
// outside of the web root, under a name of ours, and served by an authenticated route with an exact type, nosniff and a policy
// that runs nothing.
//
// # Example
//
//	examiner, err := examine.New(examine.Config{}) // at start
//	...
//	report, err := examiner.Examine(ctx, f, size, examine.Job{Name: header.Filename, Accept: examine.Images,
//		Variants: []picture.Variant{{Name: "page", Width: 1600, Height: 1600}}})
//	if err != nil { // a *layer.Refusal, with a *Refused for the audit trail in it
//		return err
//	}
package examine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/redoubt-dev/redoubt/layer/input/file/document"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// Config says what examining may cost. The zero Config takes pictures of fifty million pixels, and files of 32 MiB.
type Config struct {
	Pictures  picture.Limits  // of one picture; zero Bytes are 32 MiB, other zero fields the package's own defaults
	Documents document.Limits // of one document; zero Bytes are 32 MiB, other zero fields the package's own defaults
	// Sandbox bounds the processes. Its zero Memory is what pictures of these Limits need, its zero Output is 20 MiB; its other
	// zero fields are the package's own defaults.
	Sandbox sandbox.Config
}

const (
	mostBytes = 32 << 20 // of a file
	mostMade  = 20 << 20 // bytes of all that is made of one
)

// aside is what a worker writes to beside what its job holds: Go's runtime, which maps memory by 64 MiB, and stacks.
const aside = 96 << 20

func orDefault(field *int64, value int64) {
	if *field == 0 {
		*field = value
	}
}

// An Examiner looks at files, each in a process of its own. It may be used concurrently.
type Examiner struct {
	c   Config
	box *sandbox.Box
}

// New starts one process, to find out what the system gives to confine it.
func New(c Config) (*Examiner, error) {
	orDefault(&c.Pictures.Bytes, mostBytes)
	orDefault(&c.Documents.Bytes, mostBytes)
	orDefault(&c.Sandbox.Output, mostMade)
	// Go's collector is told to stay under three quarters of what the kernel lets the process have.
	need := c.Pictures.Memory()/3*4 + aside
	orDefault(&c.Sandbox.Memory, need)
	if c.Sandbox.Memory < need {
		return nil, fmt.Errorf("checking the examiner's configuration: Sandbox.Memory is %d, and pictures need %d", c.Sandbox.Memory, need)
	}
	box, err := sandbox.New(c.Sandbox)
	if err != nil {
		return nil, fmt.Errorf("making a sandbox for uploads: %w", err)
	}
	return &Examiner{c, box}, nil
}

// Describe says, in sentences, what protects this program from the files that it examines.
func (e *Examiner) Describe() []string { return e.box.Describe() }

// A Job is what is asked about one file.
type Job struct {
	Name     string            // as the client called it; only its ending is looked at
	Accept   []Kind            // the kinds that will do
	Variants []picture.Variant // the pictures to draw, where it is one; at least one if Accept has a kind of picture
}

// A Report is what a file is found to be.
type Report struct {
	Kind       Kind
	MediaType  string      // to send it with; for pictures, that of the first rendition
	Extension  string      // ours, with its dot; for pictures, that of the first rendition
	Width      int         // of the largest rendition; zero for documents
	Height     int         // of the largest rendition; zero for documents
	Renditions []Rendition // of a picture, in the order of Job.Variants; none of a document, which is kept as it came
}

// A Rendition is one picture that was drawn. Its file is ours and not the client's.
type Rendition struct {
	Variant               string
	MediaType, Extension  string
	Width, Height, Frames int
	Data                  []byte
}

// mostVariantName bounds what is only carried through.
const mostVariantName = 64

func (j Job) check() error {
	switch {
	case len(j.Accept) == 0:
		return errors.New("examining a file: Job.Accept is empty")
	case slices.ContainsFunc(j.Accept, func(k Kind) bool { return k.extension() == "" }):
		return errors.New("examining a file: Job.Accept names a kind that there is not")
	case slices.ContainsFunc(j.Accept, Kind.Image) && (len(j.Variants) == 0 || len(j.Variants) > picture.MaxVariants):
		return fmt.Errorf("examining a file: Job.Variants are %d, say 1 to %d where pictures are accepted", len(j.Variants), picture.MaxVariants)
	case slices.ContainsFunc(j.Variants, func(v picture.Variant) bool { return v.Name == "" || len(v.Name) > mostVariantName }):
		return fmt.Errorf("examining a file: the name of one of Job.Variants is empty or longer than %d bytes", mostVariantName)
	}
	return nil
}

// Examine looks at the first size bytes of f. The error is a *layer.Refusal by layer.Input whose cause is a *Refused, if the
// file is at fault, and something else where Job cannot be carried out.
func (e *Examiner) Examine(ctx context.Context, f *os.File, size int64, job Job) (Report, error) {
	if err := job.check(); err != nil {
		return Report{}, err
	}
	if err := e.glance(size, job); err != nil {
		return Report{}, err
	}
	answer, files, err := look.Run(ctx, e.box, f, e.question(size, job))
	if err != nil {
		return Report{}, refusedByFault(err)
	}
	return job.believe(answer, files)
}

// glance refuses what can be refused by name and size.
func (e *Examiner) glance(size int64, job Job) error {
	if err := refusedByEnding(ending(job.Name)); err != nil {
		return err
	}
	var most int64
	for _, k := range job.Accept {
		if k.Image() {
			most = max(most, e.c.Pictures.Bytes)
		} else {
			most = max(most, e.c.Documents.Bytes)
		}
	}
	return refusedBySize(size, most)
}

// question is what the worker is told. It learns neither the file's name but for its ending, nor what the variants are called.
func (e *Examiner) question(size int64, job Job) question {
	q := question{Size: size, Ending: ending(job.Name), Accept: job.Accept,
		Pictures: e.c.Pictures, Documents: e.c.Documents, Output: e.c.Sandbox.Output}
	for i, v := range job.Variants {
		q.Variants = append(q.Variants, picture.Variant{Name: strconv.Itoa(i), Width: v.Width, Height: v.Height, Crop: v.Crop})
	}
	return q
}
