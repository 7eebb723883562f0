package identity

import (
	"context"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// What tests outside the package look at by itself.
var (
	Fits          = fits
	CheckPattern  = checkPattern
	ClaimedIssuer = claimedIssuer
)

// BeginRefresh is for a test of the one moment that no test can wait for: a request that has read what another one has renewed since.
const BeginRefresh = beginRefresh

// SignInWith is InsecureSignIn by somebody who brings an invitation, which says where to.
func (s *Service) SignInWith(ctx context.Context, said signon.Claims, invitation string) (layer.Principal, error) {
	token, err := s.admit(ctx, said, admission{userAgent: "redoubt", invitation: invitation})
	if err != nil {
		return layer.Principal{}, err
	}
	who, _, err := s.session(ctx, token)
	return who, err
}
