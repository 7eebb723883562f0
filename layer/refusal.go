package layer

import "fmt"

// A Reason says what kind of refusal this is. The outermost ring alone turns it into an HTTP status (package redoubt).
type Reason string

// The reasons. What a caller may not know to exist is NotFound, never Forbidden (SYSTEM A4).
const (
	Unauthenticated Reason = "unauthenticated" // no credential, or one that does not live
	Unproven        Reason = "unproven"        // known, and to prove again who they are: the cause is an *Unmet
	Forbidden       Reason = "forbidden"       // known caller, not allowed
	NotFound        Reason = "not-found"       // absent, or not the caller's to know
	Invalid         Reason = "invalid"         // the input breaks its schema or an invariant
	Malformed       Reason = "malformed"       // the request cannot be read at all
	Unsupported     Reason = "unsupported"     // a media type or method that is not taken
	TooLarge        Reason = "too-large"       // a bound on size was met
	Conflict        Reason = "conflict"        // it exists already, or changed underneath
	Limited         Reason = "limited"         // too many requests
	Unavailable     Reason = "unavailable"     // a part that is needed does not answer; try again
)

// A Refusal is the error of a layer that turned a request away. It carries its author: the audit trail, the detectors and the
// drill read who caught what. Public and Fields may be shown to anyone and must hold no secret, SQL, path or submitted value;
// Cause is for the log alone.
type Refusal struct {
	By     Layer
	Reason Reason
	Public string  // one sentence for the person or program that asked
	Fields []Field // for Invalid: every field that is wrong, at once
	Cause  error   // why, for those who run the system; may be nil
}

// A Field is one wrong input value, named by its place, without the value itself.
type Field struct {
	Name   string `json:"name"`   // as the client knows it: "quantity", "lines[2].product_id"; empty for the whole
	Detail string `json:"detail"` // what would be right
}

// Error implements error. It is for logs, not for responses.
func (r *Refusal) Error() string {
	if r.Cause != nil {
		return fmt.Sprintf("%s refused (%s): %v", r.By, r.Reason, r.Cause)
	}
	return fmt.Sprintf("%s refused (%s): %s", r.By, r.Reason, r.Public)
}

// Unwrap gives Cause to errors.Is and errors.As.
func (r *Refusal) Unwrap() error { return r.Cause }
