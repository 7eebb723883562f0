package unfurl

// Page reads a page without asking for it, and Clean is the cleaning of a text alone.
var (
	Page  = read
	Clean = clean
)
