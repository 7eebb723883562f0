package drill

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/layer"
)

// seen is what there is to see of one attack.
type seen struct {
	harm  bool
	err   error
	late  bool // it was told to end
	alive bool // the copy, afterwards
	steps []attack.Step
	log   []byte // what the application wrote meanwhile
}

// judge says what came of an attack. Harm is harm, however it went otherwise; an attack under which something went to pieces was
// not stopped.
func judge(s seen) report.Run {
	run := report.Run{Outcome: report.Stopped, By: author(s)}
	for _, step := range s.steps {
		run.Steps = append(run.Steps, report.Step(step))
	}
	broke := broken(s)
	switch {
	case s.err == nil && s.harm:
		run.Outcome = report.Harm
	case s.late && s.alive:
		run.Outcome, run.Note = report.Hung, "it was not done in its time"
	case broke != "":
		run.Outcome, run.Note = report.Crashed, broke
	case s.err != nil:
		run.Outcome, run.Note = report.Failed, s.err.Error()
	}
	return run
}

// broken says what went to pieces; "" if nothing did. A status of the fives counts where no layer says that it was a refusal; a 502 is the
// edge's word that there is no application behind it.
func broken(s seen) string {
	if !s.alive {
		return "the copy ended"
	}
	if bytes.Contains(s.log, []byte(`"msg":"handler panicked"`)) {
		return "a handler panicked"
	}
	for _, step := range s.steps {
		if status, by := answered(step.Answer); status == http.StatusBadGateway || status >= 500 && by == "" {
			return step.Did + " was answered " + step.Answer
		}
	}
	return ""
}

// answered reads "404 rls".
func answered(answer string) (status int, by layer.Layer) {
	words := strings.Fields(answer)
	if len(words) == 0 {
		return 0, ""
	}
	status, err := strconv.Atoi(words[0])
	if err != nil || status < 100 || status > 999 {
		return 0, ""
	}
	for _, word := range words[1:] {
		if l := layer.Layer(word); slices.Contains(layer.All, l) {
			return status, l
		}
	}
	return status, ""
}

// author is the layer that refused last by its own word: in an answer, which the edge's have too, or, since pages do not say it, in the
// application's log.
func author(s seen) string {
	for _, step := range slices.Backward(s.steps) {
		if _, by := answered(step.Answer); by != "" {
			return string(by)
		}
	}
	lines := bytes.Split(s.log, []byte("\n"))
	for _, line := range slices.Backward(lines) {
		var entry struct{ Msg, By string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "refused" && slices.Contains(layer.All, layer.Layer(entry.By)) {
			return entry.By
		}
	}
	return ""
}
