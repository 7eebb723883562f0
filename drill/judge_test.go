package drill

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redoubt-dev/redoubt/drill/attack"
)

// SYSTEM G5: what goes to pieces is not a stop.
func TestAnOutcomeIsJudged(t *testing.T) {
	went := errors.New("no answer")
	steps := func(answers ...string) (all []attack.Step) {
		for _, a := range answers {
			all = append(all, attack.Step{Who: "dave", Did: "GET /x", Answer: a})
		}
		return all
	}
	panicked := []byte(`{"msg":"handler panicked","panic":"x"}` + "\n")
	refused := []byte(`{"msg":"refused","status":404,"by":"gate/page"}` + "\n" + `{"msg":"refused","status":404,"by":"rls"}` + "\n" + `{"msg":"other"}` + "\n")
	for name, c := range map[string]struct {
		seen seen
		want string
	}{
		"harm":                                  {seen{harm: true, alive: true, steps: steps("200")}, "harm by "},
		"harm under which the copy ended":       {seen{harm: true}, "harm by "},
		"harm with an error is not believed":    {seen{harm: true, err: went, alive: true}, "failed by "},
		"nothing":                               {seen{alive: true}, "stopped by "},
		"a refusal":                             {seen{alive: true, steps: steps("404 gate/action", "200")}, "stopped by gate/action"},
		"two refusals":                          {seen{alive: true, steps: steps("404 gate/action", "403 perimeter")}, "stopped by perimeter"},
		"a refusal on a page":                   {seen{alive: true, steps: steps("404"), log: refused}, "stopped by rls"},
		"a word that is no layer":               {seen{alive: true, steps: steps("404 the-moon")}, "stopped by "},
		"a log that somebody has forged":        {seen{alive: true, log: []byte(`{"msg":"refused","by":"nobody"}` + "\nrefused by rls")}, "stopped by "},
		"a status of the fives that a layer is": {seen{alive: true, steps: steps("503 transport")}, "stopped by transport"},
		"a status of the fives":                 {seen{alive: true, steps: steps("500")}, "crashed by "},
		"no application behind the edge":        {seen{alive: true, steps: steps("502 perimeter")}, "crashed by perimeter"},
		"a panic":                               {seen{alive: true, steps: steps("503 transport"), log: panicked}, "crashed by transport"},
		"the copy ended":                        {seen{err: went}, "crashed by "},
		"an error":                              {seen{err: went, alive: true}, "failed by "},
		"too late":                              {seen{err: went, alive: true, late: true}, "hung by "},
		"harm in the last moment":               {seen{harm: true, alive: true, late: true}, "harm by "},
		"answers that are none":                 {seen{alive: true, steps: steps("", "no answer", "5000", "50", "-500", "5OO rls")}, "stopped by "},
	} {
		run := judge(c.seen)
		if got := fmt.Sprint(run.Outcome, " by ", run.By); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if len(run.Steps) != len(c.seen.steps) {
			t.Errorf("%s: %d of %d steps are kept", name, len(run.Steps), len(c.seen.steps))
		}
	}
}

func FuzzAnswersAreRead(f *testing.F) {
	for _, seed := range []string{"404 rls", "502", "", "no answer", "303 gate/route later"} {
		f.Add(seed, []byte(`{"msg":"refused","by":"rls"}`))
	}
	f.Fuzz(func(t *testing.T, answer string, log []byte) {
		run := judge(seen{alive: true, steps: []attack.Step{{Answer: answer}}, log: log})
		if status, by := answered(answer); status < 0 || status > 999 || by != "" && status == 0 {
			t.Errorf("%q is read as %d %s", answer, status, by)
		}
		if run.Outcome == "" {
			t.Error("no outcome")
		}
	})
}
