package input

// Syntax reads a JSON document as Bind does, before any schema, for the corpus of parser tests.
func Syntax(body []byte) error {
	_, err := readJSON(body, 1<<20)
	return err
}

// MaxFaults and MaxQuery are the written limits that a test meets.
const (
	MaxFaults = maxFaults
	MaxQuery  = maxQuery
)

// Left is how many more files and bytes s takes.
func (s *Spool) Left() (files int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files, s.bytes
}
