package attack

func outside() []Attack { return nil }
