package certificate

import "crypto/tls"

// Parse gives the fuzz target the parser alone.
func Parse(chain, key string) (*tls.Certificate, error) { return parse(content{chain, key}) }
