package access

import (
	"net/http"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

var (
	errNoPage = refusal(layer.NotFound, "There is nothing here.")
	errMethod = refusal(layer.Unsupported, "That method does nothing here.")
)

// furnish lists the gate's own pages. They are compared whole: none is beneath another.
func (g *Guard) furnish() {
	get := func(f func(*visit)) map[string]func(*visit) {
		return map[string]func(*visit){http.MethodGet: f, http.MethodHead: f}
	}
	post := func(m map[string]func(*visit), f func(*visit)) map[string]func(*visit) {
		m[http.MethodPost] = f
		return m
	}
	none := map[string]func(*visit){}
	g.rooms = map[string]map[string]func(*visit){
		"sign-on":    get(g.choose),
		"begin":      get(g.leaveFor),
		"sign-out":   post(get(g.askToLeave), g.signOut),
		"signed-out": get(g.signedOut),
		"logged-out": post(none, g.endedElsewhere),
	}
	if g.config.Mail != nil {
		g.rooms["mail"] = post(get(g.mailed), g.askForMail)
		g.rooms["link"] = post(get(g.openLink), g.confirm)
	}
	for _, p := range g.providers {
		g.rooms["callback/"+p.Name] = map[string]func(*visit){http.MethodGet: func(x *visit) { g.comeBack(x, p) }}
	}
}

// room answers for what is reserved on every host.
func (g *Guard) room(x *visit) {
	methods, ok := g.rooms[strings.TrimPrefix(x.r.URL.EscapedPath(), Reserved)]
	if !ok {
		x.refuse(errNoPage)
		return
	}
	f, ok := methods[x.r.Method]
	if !ok {
		var allow []string
		for m := range methods {
			allow = append(allow, m)
		}
		slices.Sort(allow)
		x.w.Header().Set("Allow", strings.Join(allow, ", "))
		x.refuse(errMethod)
		return
	}
	f(x)
}
