package attack

func people() []Attack { return nil }
