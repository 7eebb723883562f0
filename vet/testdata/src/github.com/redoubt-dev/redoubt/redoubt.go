// Package redoubt stands in for the real one, with as much of it as the analyzers know.
package redoubt

import (
	"context"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
)

type Access = route.Access

var (
	Public         = route.Public
	Members        = route.Members
	Administrators = route.Administrators
)

func Scope(name string) Access { return route.Scope(name) }

type Route struct {
	Pattern string
	Access  Access
}

func (r Route) Then(path, notice string) Route { return r }

type View struct {
	Page string
	Data any
}

type Handler[In, Out any] func(ctx context.Context, who layer.Principal, in In) (Out, error)

func Page[In any](pattern string, access Access, h Handler[In, View]) Route {
	return Route{Pattern: pattern, Access: access}
}

func Form[In, Out any](pattern string, access Access, h Handler[In, Out]) Route {
	return Route{Pattern: pattern, Access: access}
}

func JSON[In, Out any](pattern string, access Access, h Handler[In, Out]) Route {
	return Route{Pattern: pattern, Access: access}
}

type Config struct{ InsecureWithoutPerimeter bool }

type Cursor string

func (c Cursor) Place() (string, string) { return "", "" }
