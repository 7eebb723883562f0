package secret

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// A Value is one secret. Every usual way of printing, logging or encoding it gives "[secret]"; Reveal and Bytes are the only
// ways out, and easy to find in review. The zero Value is empty. A Value is immutable and may be used concurrently.
type Value struct {
	// A function, because printers that reach into unexported fields by reflection, where methods are not called, can follow
	// a slice, a string or a pointer but not this.
	reveal func() []byte
}

const masked = "[secret]"

// New makes a Value of content, which it copies.
func New(content []byte) Value {
	own := bytes.Clone(content)
	return Value{func() []byte { return own }}
}

// Reveal returns the secret itself.
func (v Value) Reveal() string { return string(v.inside()) }

// Bytes returns a copy of the secret itself.
func (v Value) Bytes() []byte { return bytes.Clone(v.inside()) }

// Equal compares two secrets in time that does not depend on where they differ.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare(v.inside(), other.inside()) == 1
}

// IsZero reports whether v holds nothing.
func (v Value) IsZero() bool { return len(v.inside()) == 0 }

func (v Value) inside() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

// String implements fmt.Stringer.
func (Value) String() string { return masked }

// GoString implements fmt.GoStringer.
func (Value) GoString() string { return masked }

// Format implements fmt.Formatter: every verb prints the same.
func (Value) Format(f fmt.State, _ rune) { fmt.Fprint(f, masked) }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText implements encoding.TextMarshaler, and with it JSON. A Value cannot be read back.
func (Value) MarshalText() ([]byte, error) { return []byte(masked), nil }
