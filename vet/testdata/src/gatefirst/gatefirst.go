package gatefirst

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"elsewhere"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

type shop struct {
	db    *rls.DB
	ids   *identity.Service
	files *file.Files
	count int
	hook  func(context.Context, layer.Principal, in) (out, error)
}

type (
	in struct {
		Name  string
		Items []string
	}
	out struct{}
)

func (i in) size() int { return len(i.Items) }

func (s *shop) routes(name string) []redoubt.Route {
	return []redoubt.Route{
		redoubt.Page("GET /a", redoubt.Members, s.page),
		redoubt.JSON("GET /a", redoubt.Members, s.signOut),
		redoubt.Form("POST /a", redoubt.Members, s.place),
		redoubt.JSON("PUT /a", redoubt.Members, s.deactivate),
		redoubt.JSON("PUT /b", redoubt.Members, redoubt.Handler[in, out](s.prepared)),
		redoubt.JSON("PATCH /a", redoubt.Members, (s.chosen)).Then("/", ""),
		redoubt.JSON("DELETE /a", redoubt.Members, s.after),
		redoubt.JSON("POST /assured", redoubt.Members, s.assured),
		redoubt.JSON("POST /kept", redoubt.Members, s.kept),
		redoubt.JSON("POST /kept-only", redoubt.Members, s.keptOnly),
		redoubt.JSON("POST /kept-and-more", redoubt.Members, s.keptAndMore),
		redoubt.JSON("POST /remembered", redoubt.Members, s.remembered),
		redoubt.JSON("POST /computed", redoubt.Members, computed),
		redoubt.JSON("POST /literal", redoubt.Members, func(ctx context.Context, who layer.Principal, i in) (out, error) {
			return s.place(ctx, who, i)
		}),
		redoubt.JSON("POST /generic", redoubt.Members, generic[in]),

		redoubt.Form("POST /z", redoubt.Members, s.signOut),
		redoubt.Form("POST /z2", redoubt.Members, s.signOut), // said once
		redoubt.Form("POST /told", redoubt.Members, s.told),
		redoubt.Form("POST /read", redoubt.Members, s.read),
		redoubt.Form("POST /deferred", redoubt.Members, s.deferred),
		redoubt.Form("POST /last", redoubt.Members, s.last),
		redoubt.Form("POST /started", redoubt.Members, s.started),
		redoubt.Form("POST /dropped", redoubt.Members, s.dropped),
		redoubt.Form("POST /blank", redoubt.Members, s.blank),
		redoubt.Form("POST /counted", redoubt.Members, s.counted),
		redoubt.Form("POST /global", redoubt.Members, global),
		redoubt.Form("POST /some", redoubt.Members, s.some),
		redoubt.Form("POST /either", redoubt.Members, s.either),
		redoubt.Form("POST /argument", redoubt.Members, s.argument),
		redoubt.Form("POST /sorted", redoubt.Members, s.sorted),
		redoubt.Form("POST /far", redoubt.Members, s.far),
		redoubt.Form("POST /slept", redoubt.Members, s.slept),
		redoubt.Form("POST /jumped", redoubt.Members, s.jumped),
		redoubt.Form("POST /looped", redoubt.Members, looped),
		redoubt.JSON(name+" /put-together", redoubt.Members, s.logged),
		redoubt.JSON("POST /elsewhere", redoubt.Members, elsewhere.Save), // want `elsewhere\.Save: "POST /elsewhere": its handler cannot be read here`
		redoubt.JSON("POST /hook", redoubt.Members, s.hook),              // want `s\.hook: "POST /hook": its handler cannot be read here`
		redoubt.JSON("POST /made", redoubt.Members, s.make()),            // want `shop\.make: "POST /made": its handler cannot be read here`
	}
}

func (s *shop) page(ctx context.Context, who layer.Principal, i in) (redoubt.View, error) {
	return redoubt.View{}, s.ids.SignOut(who) // a page is not a change
}

func (s *shop) place(ctx context.Context, who layer.Principal, i in) (out, error) {
	return action.Do(ctx, s.db, who, "orders:write", func(tx *action.Tx) (out, error) { return out{}, s.ids.SignOut(who) })
}

func (s *shop) deactivate(ctx context.Context, who layer.Principal, i in) (out, error) {
	return s.set(ctx, who, i, false)
}

func (s *shop) set(ctx context.Context, who layer.Principal, i in, active bool) (out, error) {
	return action.Do(ctx, s.db, who, "members:write", func(tx *action.Tx) (out, error) { return out{}, nil })
}

func (s *shop) prepared(ctx context.Context, who layer.Principal, i in) (out, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return s.place(ctx, who, i)
}

func (s *shop) chosen(ctx context.Context, who layer.Principal, i in) (out, error) {
	const most = 50
	var names []string
	for n, item := range i.Items {
		if n > most || i.size() > most {
			return out{}, &layer.Refusal{Public: fmt.Sprintf("at most %d", most)}
		}
		names = append(names, strings.TrimSpace(item))
	}
	i.Name = strings.ToLower(i.Name)
	i.Items[0] = names[0]
	if !who.Has("orders:write") {
		return out{}, errors.New("no")
	}
	switch scope := "a:" + i.Name; {
	case len(names) > 1:
		return s.place(ctx, who, i)
	default:
		if _, err := action.Do(ctx, s.db, who, scope, func(tx *action.Tx) (out, error) { return out{}, nil }); err != nil {
			return out{}, err
		}
	}
	return out{}, s.ids.SignOut(who)
}

func (s *shop) after(ctx context.Context, who layer.Principal, i in) (out, error) {
	if _, err := s.place(ctx, who, i); err != nil {
		return out{}, err
	}
	return out{}, s.ids.SignOut(who)
}

func computed(ctx context.Context, who layer.Principal, i in) (int, error) { return len(i.Name), nil }

func generic[T any](ctx context.Context, who layer.Principal, i T) (out, error) {
	elsewhere.Tell("") // want `elsewhere\.Tell: "POST /generic": this runs before the action gate`
	return out{}, nil
}

func (s *shop) signOut(ctx context.Context, who layer.Principal, i in) (out, error) {
	return out{}, s.ids.SignOut(who) // want `Service\.SignOut: "POST /z": this runs before the action gate is asked: begin with action.Do \(SYSTEM A3\)`
}

func (s *shop) told(ctx context.Context, who layer.Principal, i in) (out, error) {
	elsewhere.Tell(i.Name) // want `elsewhere\.Tell: "POST /told"`
	return s.place(ctx, who, i)
}

func (s *shop) read(ctx context.Context, who layer.Principal, i in) (out, error) {
	if _, err := rls.One[int](s.db.As(ctx, who), "select 1"); err != nil { // want `DB\.As: "POST /read"`
		return out{}, err
	}
	return s.place(ctx, who, i)
}

func (s *shop) deferred(ctx context.Context, who layer.Principal, i in) (out, error) {
	defer elsewhere.Tell(i.Name) // want `elsewhere\.Tell: "POST /deferred"`
	return s.place(ctx, who, i)
}

func (s *shop) last(ctx context.Context, who layer.Principal, i in) (out, error) {
	defer s.place(ctx, who, i) // want `handler: "POST /last": the action gate is asked last`
	return out{}, nil
}

func (s *shop) started(ctx context.Context, who layer.Principal, i in) (out, error) {
	go elsewhere.Tell(i.Name) // want `handler: "POST /started": what runs here cannot be put in an order`
	return s.place(ctx, who, i)
}

func (s *shop) dropped(ctx context.Context, who layer.Principal, i in) (out, error) {
	s.place(ctx, who, i) // want `handler: "POST /dropped": the refusal of the action gate is dropped`
	return out{}, s.ids.SignOut(who)
}

func (s *shop) blank(ctx context.Context, who layer.Principal, i in) (out, error) {
	_, _ = s.place(ctx, who, i) // want `handler: "POST /blank": the refusal of the action gate is dropped`
	return out{}, s.ids.SignOut(who)
}

func (s *shop) counted(ctx context.Context, who layer.Principal, i in) (out, error) {
	s.count++ // want `handler: "POST /counted": what outlives the request is changed`
	return s.place(ctx, who, i)
}

var total int

func global(ctx context.Context, who layer.Principal, i in) (out, error) {
	total = i.size() // want `handler: "POST /global": what outlives the request is changed`
	return out{}, nil
}

func (s *shop) some(ctx context.Context, who layer.Principal, i in) (out, error) {
	if i.Name != "" {
		if _, err := s.place(ctx, who, i); err != nil {
			return out{}, err
		}
	}
	return out{}, s.ids.SignOut(who) // want `Service\.SignOut: "POST /some"`
}

func (s *shop) either(ctx context.Context, who layer.Principal, i in) (out, error) {
	ask := func() bool { return true }
	if i.Name != "" && ask() { // want `ask: "POST /either"`
		return s.place(ctx, who, i)
	}
	return out{}, nil
}

func (s *shop) argument(ctx context.Context, who layer.Principal, i in) (out, error) {
	return action.Do(ctx, s.db, who, os.Getenv("SCOPE"), func(tx *action.Tx) (out, error) { return out{}, nil }) // want `os\.Getenv: "POST /argument"`
}

func (s *shop) sorted(ctx context.Context, who layer.Principal, i in) (out, error) {
	slices.SortFunc(i.Items, strings.Compare) // want `slices\.SortFunc: "POST /sorted"`
	return s.place(ctx, who, i)
}

func (s *shop) far(ctx context.Context, who layer.Principal, i in) (out, error) {
	return s.far1(ctx, who, i)
}

func (s *shop) far1(ctx context.Context, who layer.Principal, i in) (out, error) {
	return s.far2(ctx, who, i)
}

func (s *shop) far2(ctx context.Context, who layer.Principal, i in) (out, error) {
	return s.place(ctx, who, i) // want `shop\.place: "POST /far": the action gate is too far away`
}

func (s *shop) slept(ctx context.Context, who layer.Principal, i in) (out, error) {
	time.Sleep(time.Second) // want `time\.Sleep: "POST /slept"`
	return s.place(ctx, who, i)
}

func (s *shop) jumped(ctx context.Context, who layer.Principal, i in) (out, error) {
	if i.Name == "" {
		goto end // want `handler: "POST /jumped": what runs here cannot be put in an order`
	}
	return s.place(ctx, who, i)
end:
	return out{}, s.ids.SignOut(who)
}

func looped(ctx context.Context, who layer.Principal, i in) (out, error) {
	return looped(ctx, who, i) // want `gatefirst\.looped: "POST /looped": the action gate is too far away`
}

func (s *shop) logged(ctx context.Context, who layer.Principal, i in) (out, error) {
	fmt.Println(i.Name) // want `fmt\.Println: name \+ " /put-together"`
	elsewhere.Count++
	return s.place(ctx, who, i)
}

func (s *shop) make() redoubt.Handler[in, out] { return s.place }

func (s *shop) assured(ctx context.Context, who layer.Principal, i in) (out, error) {
	return action.DoAssured(ctx, s.db, who, "x", layer.Assurance{Level: "mfa"}, func(tx *action.Tx) (out, error) {
		return out{}, s.ids.SignOut(who)
	})
}

// kept: what asks the gate by itself may come before.
func (s *shop) kept(ctx context.Context, who layer.Principal, i in) (out, error) {
	ids, err := s.files.KeepAll(ctx, who, i.Name)
	if err != nil {
		return out{}, err
	}
	done, err := s.place(ctx, who, i)
	if err != nil {
		s.files.Drop(ctx, who, ids...)
	}
	return done, err
}

func (s *shop) keptOnly(ctx context.Context, who layer.Principal, i in) (out, error) {
	_, err := s.files.KeepAll(ctx, who, i.Name)
	return out{}, err
}

func (s *shop) keptAndMore(ctx context.Context, who layer.Principal, i in) (out, error) {
	if _, err := s.files.KeepAll(ctx, who, i.Name); err != nil {
		return out{}, err
	}
	return out{}, s.ids.SignOut(who) // want `Service\.SignOut: "POST /kept-and-more"`
}

func (s *shop) remembered(ctx context.Context, who layer.Principal, i in) (out, error) {
	s.files.Remember(i.Name) // want `Files\.Remember: "POST /remembered"`
	return s.place(ctx, who, i)
}
