package postgres

import (
	"errors"
	"strconv"
	"strings"
)

// parseVersion reads the line that `postgres --version` prints: "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)",
// "postgres (PostgreSQL) 19beta1".
func parseVersion(line string) (version string, major int, err error) {
	_, rest, found := strings.Cut(line, "(PostgreSQL) ")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 || len(fields[0]) > 32 {
		return "", 0, errors.New("it does not answer as PostgreSQL does")
	}
	major, ok := leadingNumber(fields[0])
	if !ok {
		return "", 0, errors.New("it does not answer as PostgreSQL does")
	}
	return fields[0], major, nil
}

// leadingNumber reads the digits at the beginning of s, at most four of them.
func leadingNumber(s string) (int, bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 || end > 4 {
		return 0, false
	}
	n, err := strconv.Atoi(s[:end])
	return n, err == nil
}

// folderVersion is the number in the place of the star of pattern, for sorting; 0 if there is none.
func folderVersion(pattern, folder string) int {
	before, _, _ := strings.Cut(pattern, "*")
	n, _ := leadingNumber(strings.TrimPrefix(folder, before))
	return n
}
