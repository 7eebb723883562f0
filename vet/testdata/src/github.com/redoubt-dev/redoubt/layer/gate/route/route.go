package route

type Access struct {
	kind  int
	scope string
}

var (
	Public         = Access{kind: 1}
	Members        = Access{kind: 2}
	Administrators = Access{kind: 3}
)

func Scope(name string) Access { return Access{4, name} }
