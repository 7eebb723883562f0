package scim

import (
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// An operation is one of a PATCH (RFC 7644 section 3.5.2), in the dialects of the large providers: op in any case, no path and an object of
// names that may have dots, a value that is not in the list that it belongs in.
type operation struct {
	op    string // add, replace or remove
	path  target
	value any
	named bool // by a path: what may not be written is an error, and not ignored
}

// A target is what an operation changes: an attribute, a part of it, or those of its values that fit a filter.
type target struct {
	place
	which filter // nil for all
	skip  bool   // an attribute that is not kept
}

// operations reads the body of a PATCH on attributes among all. One without a path becomes one for each attribute.
func operations(body []byte, all map[string]attribute) (ops []operation, err error) {
	o, err := decode(body)
	if err != nil {
		return nil, err
	}
	if err := o.speaks(patchSchema); err != nil {
		return nil, err
	}
	list, ok := o["operations"].([]any)
	if !ok || len(list) == 0 || len(list) > maxOperations {
		return nil, invalid(InvalidSyntax, "A PATCH has from one to a thousand Operations.")
	}
	for _, one := range list {
		if ops, err = readOperation(ops, one, all); err != nil {
			return nil, err
		}
		if len(ops) > 2*maxOperations {
			return nil, invalid(TooMany, "These are too many changes at once.")
		}
	}
	return ops, nil
}

func readOperation(ops []operation, v any, all map[string]attribute) ([]operation, error) {
	o, _ := v.(object)
	op, _ := o["op"].(string)
	op = strings.ToLower(op)
	path, hasPath := o["path"].(string)
	switch {
	case o["path"] != nil && !hasPath:
		return nil, invalid(InvalidPath, "The path is not one that is understood here.")
	case op != "add" && op != "replace" && op != "remove":
		return nil, invalid(InvalidSyntax, "An operation is add, replace or remove.")
	case hasPath:
		at, err := parsePath(path, all)
		return append(ops, operation{op, at, o["value"], true}), err
	case op == "remove":
		return nil, invalid(NoTarget, "What is removed has to be named by a path.")
	}
	value, ok := o["value"].(object)
	if !ok {
		return nil, invalid(InvalidValue, "Without a path the value has to be an object of attributes.")
	}
	return readObject(ops, op, value, all)
}

// readObject makes an operation of each attribute of value, in the order of their names so that the outcome is always the same.
func readObject(ops []operation, op string, value object, all map[string]attribute) ([]operation, error) {
	for _, name := range sorted(value) {
		at, err := parsePath(name, all)
		if err != nil {
			return nil, invalid(InvalidSyntax, "An attribute is not one of this resource's schema.")
		}
		ops = append(ops, operation{op, at, value[name], false})
	}
	return ops, nil
}

// parsePath reads attribute, attribute.part, attribute[filter] and attribute[filter].part.
func parsePath(s string, all map[string]attribute) (target, error) {
	bad := invalid(InvalidPath, "The path is not one that is understood here.")
	if len(s) > maxFilter || s == "" {
		return target{}, bad
	}
	name, rest, bracket := strings.Cut(s, "[")
	if !bracket {
		at, ok := find(all, name)
		if !ok && !ignored(name) {
			return target{}, bad
		}
		return target{place: at, skip: !ok}, nil
	}
	at, ok := find(all, name)
	if !ok && ignored(name) {
		return target{skip: true}, nil
	}
	end := strings.LastIndexByte(rest, ']')
	if !ok || at.part != nil || !at.multi || at.kind != several || end < 0 {
		return target{}, bad
	}
	which, err := parseFilter(rest[:end], at.parts)
	if err != nil {
		return target{}, bad
	}
	if tail := rest[end+1:]; tail != "" {
		part, ok := at.parts[strings.ToLower(strings.TrimPrefix(tail, "."))]
		if !ok || tail[0] != '.' {
			return target{}, bad
		}
		at.part = &part
	}
	return target{place: at, which: which}, nil
}

// idle reports whether an operation is about something that is not kept or not the client's to write. To name such a thing by a path is
// refused (RFC 7644 section 3.5.2).
func (o operation) idle() (bool, error) {
	switch {
	case o.path.skip:
		return true, nil
	case o.path.fixed && o.named:
		return true, &layer.Refusal{By: layer.Identity, Reason: layer.Invalid, Public: "This attribute is not the client's to write.", Cause: Mutability}
	}
	return o.path.fixed, nil
}
