package rls

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/redoubt-dev/redoubt/layer"
)

// An id says whose it is (SYSTEM A5, D1). redoubt.new_id makes ids of version 8 (RFC 9562 section 5.8) whose first 32 bits stand for
// the organization, by the database's context; what follows asks the Principal, whose organization comes from claims that the
// database cannot make. A table whose policies are gone, or a context that is wrong, shows in the ids of what comes back.

var (
	// ErrForeignRow is the cause when the database answers with another organization's row: its policies have failed.
	ErrForeignRow = errors.New("the database answered with an id of another organization")
	errForeignID  = errors.New("the caller named an id of another organization")
)

// absent refuses as if what was asked for did not exist: to the caller it does not (SYSTEM A4).
func absent(cause error) error {
	return &layer.Refusal{By: layer.RLS, Reason: layer.NotFound, Public: "There is nothing here.", Cause: cause}
}

// A tag is how the ids of one organization begin. The zero tag is nobody's, and admits no id that says whose it is.
type tag struct {
	bytes [4]byte
	known bool
}

// tagOf is the tag of org; redoubt.new_id has the same rule.
func tagOf(org layer.OrgID) (t tag) {
	if id, ok := parseID(string(org)); ok {
		sum := sha256.Sum256(id[:])
		t.known = copy(t.bytes[:], sum[:]) == len(t.bytes)
	}
	return t
}

// admits reports whether an id may be the organization's. An id that is not of version 8 says nothing, and is left to the policies.
func (t tag) admits(id [16]byte) bool {
	says := id[6]>>4 == 8 && id[8]>>6 == 0b10
	return !says || t.known && [4]byte(id[:4]) == t.bytes
}

// NewID makes an id for a row of org, for programs that have to know it before the database does and have no Tx: Tx.NewID. Nothing is
// kept out by its being hard to guess, though 90 bits of it are random.
func NewID(org layer.OrgID) string { return tagOf(org).newID() }

func (t tag) newID() string {
	var id [16]byte
	rand.Read(id[:])
	copy(id[:], t.bytes[:])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	x := hex.EncodeToString(id[:])
	return strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
}

// judge looks at arguments before anything is asked, so that a change of another's row is refused even if it would answer nothing.
// Plain strings are texts and may say what they like; an id is of a type of its own, such as shop.OrderID, or of pgtype's.
func (t tag) judge(args []any) error {
	for i, arg := range args {
		if !t.argument(arg) {
			return absent(fmt.Errorf("argument %d: %w", i+1, errForeignID))
		}
	}
	return nil
}

func (t tag) argument(arg any) bool {
	switch arg.(type) {
	case nil, string, *string, []string, []byte, bool, int, int32, int64:
		return true
	}
	v := reflect.ValueOf(arg)
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return true
	}
	if valuer, ok := arg.(pgtype.UUIDValuer); ok {
		id, err := valuer.UUIDValue()
		return err != nil || !id.Valid || t.admits(id.Bytes)
	}
	return t.value(v)
}

var text = reflect.TypeFor[string]()

// value follows pointers and lists to the ids that they hold.
func (t tag) value(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		id, ok := parseID(v.String())
		return !ok || v.Type() == text || t.admits(id)
	case reflect.Pointer:
		return t.argument(v.Elem().Interface())
	case reflect.Slice, reflect.Array:
		return t.list(v)
	}
	return true
}

func (t tag) list(v reflect.Value) bool {
	switch v.Type().Elem().Kind() {
	case reflect.Uint8: // bytes, or an id
		var id [16]byte
		return v.Kind() != reflect.Array || v.Len() != len(id) || reflect.Copy(reflect.ValueOf(&id).Elem(), v) != len(id) || t.admits(id)
	case reflect.String, reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Struct:
		for i := range v.Len() {
			if !t.argument(v.Index(i).Interface()) {
				return false
			}
		}
	}
	return true
}

// parseID reads a UUID as PostgreSQL does: in either case, hyphens or none, in braces or without.
func parseID(s string) (id [16]byte, ok bool) {
	const longest = 16*2 + 15 + 2
	if len(s) < 32 || len(s) > longest {
		return id, false
	}
	var digits [32]byte
	n := 0
	for _, c := range []byte(s) {
		switch {
		case c == '-' || c == '{' || c == '}':
		case n == len(digits):
			return id, false
		default:
			digits[n] = c
			n++
		}
	}
	if n < len(digits) {
		return id, false
	}
	_, err := hex.Decode(id[:], digits[:])
	return id, err == nil
}

// judged hands on rows whose ids are the organization's, and ends at the first other one.
type judged struct {
	pgx.Rows
	tag  tag
	ids  []int // the columns that hold ids
	some [4]int
	seen bool // the columns
	err  error
}

func (t tag) judged(rows pgx.Rows) *judged { return &judged{Rows: rows, tag: t} }

// Next implements pgx.Rows.
func (j *judged) Next() bool {
	if j.err != nil || !j.Rows.Next() {
		return false
	}
	if !j.seen {
		j.look()
	}
	raw := j.RawValues()
	for _, column := range j.ids {
		if raw[column] != nil && !j.holds(column, raw[column]) {
			j.err = absent(fmt.Errorf("column %s: %w", j.FieldDescriptions()[column].Name, ErrForeignRow))
			j.Close()
			return false
		}
	}
	return true
}

// Err implements pgx.Rows.
func (j *judged) Err() error {
	if j.err != nil {
		return j.err
	}
	return j.Rows.Err()
}

func (j *judged) look() {
	j.seen, j.ids = true, j.some[:0]
	for i, f := range j.FieldDescriptions() {
		if f.DataTypeOID == pgtype.UUIDOID || f.DataTypeOID == pgtype.UUIDArrayOID {
			j.ids = append(j.ids, i)
		}
	}
}

// holds reports whether what column holds may be the organization's. What cannot be read is refused.
func (j *judged) holds(column int, raw []byte) bool {
	field := j.FieldDescriptions()[column]
	if field.DataTypeOID == pgtype.UUIDOID && field.Format == pgx.BinaryFormatCode && len(raw) == 16 {
		return j.tag.admits([16]byte(raw))
	}
	var ids pgtype.FlatArray[pgtype.UUID]
	to := any(&ids)
	if field.DataTypeOID == pgtype.UUIDOID {
		ids = make(pgtype.FlatArray[pgtype.UUID], 1)
		to = &ids[0]
	}
	if j.Conn().TypeMap().Scan(field.DataTypeOID, field.Format, raw, to) != nil {
		return false
	}
	for _, id := range ids {
		if id.Valid && !j.tag.admits(id.Bytes) {
			return false
		}
	}
	return true
}
