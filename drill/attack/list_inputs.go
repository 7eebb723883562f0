package attack

func inputs() []Attack { return nil }
