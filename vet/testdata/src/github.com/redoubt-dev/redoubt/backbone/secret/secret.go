package secret

type Value struct{ text string }

func (v Value) Reveal() string { return v.text }

func (v Value) Bytes() []byte { return []byte(v.text) }

func (v Value) String() string { return "masked" }
