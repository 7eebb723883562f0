package attack

func browser() []Attack { return nil }
