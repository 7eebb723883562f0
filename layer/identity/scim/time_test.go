package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// How long somebody is still let in after their provider has withdrawn them: requests hammer, by a key and by a browser's session, and
// each notes when it began and how it was answered. No request that began after the provider had its answer may be let through.
func TestWhoIsWithdrawnIsOutAtOnce(t *testing.T) { // SYSTEM I7
	w := newWorld(t)
	p := w.provider(t, "Acme")
	const rounds, each = 5, 3
	var first, last []time.Duration
	for round := range rounds {
		subject := fmt.Sprintf("layertest-%s-%d", w.Organization("Acme")[:8], round)
		member := w.Member("Acme", layertest.Named(subject))
		id := string(member.Principal().Profile())
		key, browser := member.WithKey("posts:read"), member.Browser()
		key.Get("/api/v1/posts").NoContent()
		var withdrawn atomic.Int64 // when the provider was answered
		var until atomic.Int64     // when the last request that was let through had begun
		var refused atomic.Int64   // when the first request was refused
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for i := range 2 * each {
			by := []*layertest.Caller{key, browser}[i%2]
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now().UnixNano()
					code := by.Get("/api/v1/posts").Code
					if code/100 == 2 {
						raise(&until, began)
						continue
					}
					refused.CompareAndSwap(0, time.Now().UnixNano())
					if n > 0 && withdrawn.Load() != 0 {
						return
					}
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		asked := time.Now()
		p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "active", "value": false})).is(http.StatusOK)
		answered := time.Now().UnixNano()
		withdrawn.Store(answered)
		time.Sleep(50 * time.Millisecond)
		close(stop)
		wg.Wait()
		if late := until.Load(); late > answered {
			t.Errorf("a request that began %v after the provider's answer was let through", time.Duration(late-answered))
		}
		if refused.Load() == 0 {
			t.Fatal("nobody was refused")
		}
		first, last = append(first, time.Duration(refused.Load()-answered)), append(last, time.Duration(answered-asked.UnixNano()))
	}
	slices.Sort(first)
	slices.Sort(last)
	t.Logf("from the PATCH's answer to the first refused request: median %.2f ms, worst %.2f ms (negative: refused before the answer was out); the PATCH itself: median %.2f ms",
		ms(first[rounds/2]), ms(first[rounds-1]), ms(last[rounds/2]))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func raise(to *atomic.Int64, v int64) {
	for old := to.Load(); v > old && !to.CompareAndSwap(old, v); old = to.Load() {
	}
}

func TestTheJobsOfWhoIsWithdrawnAreNotRun(t *testing.T) { // SYSTEM I7, K3
	w := newWorld(t)
	p := w.provider(t, "Acme")
	member := w.Member("Acme")
	grant := func() string {
		grant, err := action.Do(t.Context(), w.DB, member.Principal(), "posts:read", func(tx *action.Tx) (string, error) {
			return w.Identity.GrantJob(tx.Tx, member.Principal(), "posts.export", []string{"posts:read"}, time.Hour)
		})
		if err != nil {
			t.Fatal(err)
		}
		return grant
	}
	before, waiting := grant(), grant()
	if _, err := w.Identity.Job(t.Context(), before); err != nil {
		t.Fatalf("a member's job is not run: %v", err)
	}
	p.ask("PATCH", "/Users/"+string(member.Principal().Profile()), patch(kv{"op": "replace", "path": "active", "value": false})).is(http.StatusOK)
	if _, err := w.Identity.Job(t.Context(), waiting); !refusedBy(err, layer.Identity) {
		t.Errorf("a job of who was withdrawn is run: %v", err)
	}
	if _, err := w.AsRole(t, "redoubt_worker").Exec(t.Context(), `select redoubt.enter($1)`, waiting); err == nil {
		t.Error("the database lets it enter")
	}
}

func TestTwoAtOnceComeOneAfterTheOther(t *testing.T) {
	p := newWorld(t).provider(t, "Acme")
	id := p.add("ada@example.test", "a1")
	users := []string{id}
	for i := range 5 {
		users = append(users, p.add(fmt.Sprintf("u%d@example.test", i), ""))
	}
	group := p.group("Readers")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			p.ask("PATCH", "/Users/"+id, patch(kv{"op": "add", "path": "emails", "value": []kv{{"value": fmt.Sprintf("more%d@example.test", i), "type": "other"}}})).is(http.StatusOK)
		})
		wg.Go(func() {
			p.ask("PATCH", "/Groups/"+group, patch(kv{"op": "add", "path": "members", "value": []kv{{"value": users[i]}}})).is(http.StatusNoContent)
		})
	}
	wg.Wait()
	if n := len(p.ask("GET", "/Users/"+id, nil).at("emails").([]any)); n != 7 {
		t.Errorf("of six addresses that were added to one at once, %d are there", n)
	}
	if n := len(p.ask("GET", "/Groups/"+group, nil).at("members").([]any)); n != 6 {
		t.Errorf("of six members that were added at once, %d are there", n)
	}
	made := make([]int, 4)
	for i := range made {
		wg.Go(func() { made[i] = p.ask("POST", "/Users", aUser("same@example.test", "")).status })
	}
	wg.Wait()
	slices.Sort(made)
	if !slices.Equal(made, []int{201, 409, 409, 409}) {
		t.Errorf("one name announced four times at once: %v", made)
	}
	owners := []string{}
	for _, subject := range []string{"one", "two"} {
		id, _ := p.member(subject)
		owners = append(owners, id)
	}
	p.group("owner", owners...)
	for i, id := range owners {
		wg.Go(func() { made[i] = p.ask("DELETE", "/Users/"+id, nil).status })
	}
	wg.Wait()
	if got := made[:2]; got[0]+got[1] != 204+409 {
		t.Errorf("two owners withdrawn at once: %v", got)
	}
}
