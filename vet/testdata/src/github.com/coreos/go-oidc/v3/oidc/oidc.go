package oidc

import "context"

type Config struct {
	ClientID                   string
	SkipClientIDCheck          bool
	SkipExpiryCheck            bool
	SkipIssuerCheck            bool
	InsecureSkipSignatureCheck bool
}

func InsecureIssuerURLContext(ctx context.Context, issuer string) context.Context { return ctx }
