package account

import (
	"context"

	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

type (
	portrait struct {
		Picture input.Upload `json:"picture" maxBytes:"10485760" accept:"image/jpeg,image/png,image/gif,image/webp"`
	}
	// SetAvatar is a picture as the body of a request.
	SetAvatar struct {
		Picture input.Upload `body:"content" maxBytes:"10485760" accept:"image/jpeg,image/png,image/gif,image/webp"`
	}
)

const updateAvatar = `update commons.profile set avatar_id = $1 where id = redoubt.profile()`

func (a *Account) portray(ctx context.Context, who layer.Principal, in portrait) (Profile, error) {
	return a.Portray(ctx, who, in.Picture)
}

func (a *Account) setAvatar(ctx context.Context, who layer.Principal, in SetAvatar) (Profile, error) {
	return a.Portray(ctx, who, in.Picture)
}

// Portray keeps a picture and shows it beside who's name; the one before it is gone.
func (a *Account) Portray(ctx context.Context, who layer.Principal, picture input.Upload) (Profile, error) {
	kept, err := a.files.KeepAll(ctx, who, "picture", []input.Upload{picture}, attachment.Avatar)
	if err != nil {
		return Profile{}, err
	}
	profile, err := a.avatar(ctx, who, &kept[0])
	if err != nil {
		a.files.Drop(ctx, who, kept...)
	}
	return profile, err
}

func (a *Account) unportray(ctx context.Context, who layer.Principal, _ empty) (Nothing, error) {
	_, err := a.avatar(ctx, who, nil)
	return Nothing{}, err
}

func (a *Account) avatar(ctx context.Context, who layer.Principal, id *file.ID) (Profile, error) {
	profile, err := action.Do(ctx, a.db, who, "profile:write", func(tx *action.Tx) (Profile, error) {
		if _, err := rls.Do(tx, updateAvatar, id); err != nil {
			return Profile{}, err
		}
		return rls.One[Profile](tx, selectProfile) // which is not there before onboarding
	})
	if err == nil {
		a.files.Sweep(ctx, who)
	}
	return profile, err
}
