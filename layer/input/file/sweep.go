package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

const (
	overdue   = `select content as content_id, names from files.overdue($1)`
	forgotten = `select files.forgotten($1)`
)

// Bounds of the housework, so that it is nobody's long wait.
const (
	sweepMost  = 20               // contents at once
	sweepEvery = 10 * time.Minute // in one process and organization, besides after what deletes something
	sweptMost  = 10_000           // organizations whose last time is remembered
)

// Sweep removes from the store what nobody can ask for any more in who's organization, and returns how many contents that were. It runs
// with the authority of whoever works there (scope files:read): no part of Redoubt needs a credential that sees every organization's files.
// Call it after what deletes rows that hold files; Keep and Open do it now and then. What it leaves, because the store does not answer, nobody
// can ask for, and the next one takes it along: a caller may pass over its error.
func (f *Files) Sweep(ctx context.Context, who layer.Principal) (int, error) {
	type row struct {
		ContentID ID
		Names     []string
	}
	var doomed []row
	err := f.cfg.Change(ctx, who, Read, func(tx rls.Asker) (err error) {
		doomed, err = rls.All[row](tx, overdue, sweepMost)
		return err
	})
	if err != nil || len(doomed) == 0 {
		return 0, err
	}
	var gone []ID
	var faults []error
	for _, content := range doomed {
		if err := f.remove(ctx, who, content.Names); err != nil {
			faults = append(faults, err)
			continue
		}
		gone = append(gone, content.ContentID)
	}
	err = f.cfg.Change(ctx, who, Read, func(tx rls.Asker) error {
		_, err := rls.Do(tx, forgotten, gone)
		return err
	})
	return len(gone), errors.Join(append(faults, err)...)
}

func (f *Files) remove(ctx context.Context, who layer.Principal, names []string) error {
	for _, name := range names {
		if err := f.cfg.Store.Delete(ctx, store.Key{Organization: who.Organization(), Name: name}); err != nil {
			return fmt.Errorf("removing an object: %w", err)
		}
	}
	return nil
}

// sweepSometimes does the housework if nobody has done it here for a while. What it cannot do stays for the next time.
func (f *Files) sweepSometimes(ctx context.Context, who layer.Principal) {
	if !who.Has(Read) || !f.due(who.Organization(), time.Now()) {
		return
	}
	_, _ = f.Sweep(ctx, who)
}

func (f *Files) due(org layer.OrgID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.swept[org]) < sweepEvery {
		return false
	}
	if len(f.swept) >= sweptMost {
		clear(f.swept)
	}
	f.swept[org] = now
	return true
}
