package bench
import "crypto/sha256"
func hash32(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }
