package trust

// Parse is what judges a certificate before any store is touched.
var Parse = parse
