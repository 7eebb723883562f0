package mint

type Facts struct{ Profile string }

var (
	Principal  func(Facts) any
	Credential func(any) string
)

type Gate struct{ _ int }
