package knockout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
)

var errUnanswered = errors.New("the copy does not answer as it should, so nothing is proved")

// A question is one request of a proof.
type question struct {
	who, method, path string
	form              map[string]string
	header            []string // names and values in turn
}

// passes proves that a layer lets a request through which it would have refused: the answer is somebody else's. It asks as a program, because
// the answers that programs get say who refused.
func passes(ctx context.Context, at Place, by layer.Layer, q question) error {
	refused, err := refuser(ctx, at, q)
	if err == nil && refused == by {
		err = fmt.Errorf("%s refuses", by)
	}
	return err
}

// refuser is the layer that refuses a request, or "" if none does.
func refuser(ctx context.Context, at Place, q question) (layer.Layer, error) {
	status, _, body, err := at.Ask(ctx, q.who, q.method, q.path, q.form, append(q.header, "Accept", "application/json")...)
	if err != nil {
		return "", err
	}
	if status < http.StatusBadRequest {
		return "", nil
	}
	var problem struct {
		By layer.Layer `json:"refused_by"`
	}
	if json.Unmarshal([]byte(body), &problem) != nil || problem.By == "" {
		return "", fmt.Errorf("%w: %d", errUnanswered, status)
	}
	return problem.By, nil
}

// missed proves no more than that the copy's code has come to where the unit would be. It is for units of which nothing can be seen from
// outside while all others stand.
func missed(unit string) func(context.Context, Place) error {
	return func(ctx context.Context, at Place) error {
		if _, _, _, err := at.Ask(ctx, "new bob", http.MethodGet, "/signed-out", nil); err != nil {
			return err
		}
		if !slices.Contains(at.Missed(), unit) {
			return errors.New("nobody has missed it")
		}
		return nil
	}
}
