package forgedprincipal

import (
	"context"
	"reflect"
	"unsafe"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

type key struct{}

var (
	current layer.Principal                 // want `current: one caller's Principal would be there for the next`
	known   = map[string]*layer.Principal{} // want `known: one caller's Principal would be there for the next`
	count   int
)

type looksLike struct{ facts func() *int }

func act(tx *action.Tx) (int, error) { return 0, nil }

func good(ctx context.Context, db *rls.DB, who layer.Principal) (layer.Principal, error) {
	db.As(ctx, who)
	if _, err := action.Do(ctx, db, who, "x", act); err != nil {
		return layer.Principal{}, err
	}
	_ = context.WithValue(ctx, key{}, "v")
	_ = reflect.ValueOf(count)
	_ = unsafe.Pointer(&count)
	var chosen layer.Principal
	chosen = who
	db.As(ctx, chosen)
	return who, nil
}

func bad(ctx context.Context, db *rls.DB, who layer.Principal) {
	var nobody layer.Principal
	db.As(ctx, layer.Principal{})                                  // want `Principal: the zero Principal is nobody`
	db.As(ctx, *new(layer.Principal))                              // want `Principal: the zero Principal is nobody`
	action.DoAssured(ctx, db, nobody, "x", layer.Assurance{}, act) // want `Principal: the zero Principal is nobody`
	action.Do(ctx, db, nobody, "x", act)                           // want `Principal: the zero Principal is nobody`
	_ = context.WithValue(ctx, key{}, who)                         // want `context\.WithValue: what has authority does not travel unseen`
	_ = context.WithValue(ctx, key{}, &who)                        // want `context\.WithValue: what has authority does not travel unseen`
	_ = reflect.ValueOf(&who)                                      // want `reflect\.ValueOf: a Principal is looked into`
	_ = reflect.New(reflect.TypeFor[layer.Principal]())            // want `reflect\.TypeFor: a Principal is looked into`
	p := (*looksLike)(unsafe.Pointer(&who))                        // want `unsafe\.Pointer: a Principal is written past the compiler`
	_ = *(*layer.Principal)(unsafe.Pointer(p))                     // want `unsafe\.Pointer: a Principal is written past the compiler`
}
