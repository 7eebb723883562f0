package document

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	mostName   = 512 // bytes of a name in an archive
	mostLevels = 32  // folders within folders
)

// devices are names that Windows does not take for a file's, whatever follows a dot.
var devices = strings.Fields("con prn aux nul com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9")

// names checks that every name is one that leads to one place below the folder that somebody unpacks the archive into, on every
// system, and that no two lead to the same.
func names(entries []entry) reason {
	seen, folders := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if !fit(e.name) {
			return badName
		}
		folded := strings.ToLower(strings.TrimSuffix(e.name, "/"))
		if seen[folded] {
			return sameName
		}
		seen[folded] = true
		for i, c := range folded {
			if c == '/' {
				folders[folded[:i]] = true
			}
		}
		if e.directory {
			folders[folded] = true
		}
	}
	for _, e := range entries {
		if !e.directory && folders[strings.ToLower(e.name)] {
			return sameName
		}
	}
	return ""
}

func fit(name string) bool {
	if name == "" || len(name) > mostName || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) {
		return false
	}
	levels := strings.Split(strings.TrimSuffix(name, "/"), "/")
	return len(levels) <= mostLevels && !slices.ContainsFunc(levels, func(level string) bool {
		stem, _, _ := strings.Cut(strings.ToLower(level), ".")
		return level == "" || strings.Trim(level, ". ") == "" || strings.HasSuffix(level, ".") || strings.HasSuffix(level, " ") ||
			slices.Contains(devices, strings.TrimSpace(stem))
	})
}

// odd are the characters of which a name is not to be made: what parts folders or drives or streams somewhere, and what is not
// seen, or makes the rest be seen in another order.
func odd(r rune) bool {
	return r == '\\' || r == ':' || r == bom || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r >= 0x200b && r <= 0x200d ||
		r == 0x2028 || r == 0x2029
}
