package document

import (
	"bufio"
	"errors"
	"io"
	"unicode"
	"unicode/utf8"
)

const bom = '\ufeff'

// checkText wants UTF-8 in which every character is to be seen, or parts lines and columns. One byte order mark may begin it, since
// Excel writes one before CSV.
func checkText(r io.ReaderAt, size int64) reason {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
	for at := int64(0); ; {
		c, n, err := in.ReadRune()
		switch {
		case errors.Is(err, io.EOF) && at == size:
			return ""
		case err != nil:
			return unreadable
		case c == utf8.RuneError && n == 1:
			return notUTF8
		case turning(c):
			return direction
		case unfit(c) && (c != bom || at > 0):
			return control
		}
		at += int64(n)
	}
}

// unfit are the characters that a text has no use for: controls, marks that are not to be seen, and code points that are none.
func unfit(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r', r == '\f':
		return false
	case unicode.IsControl(r), r == bom, r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return true
	}
	return turning(r)
}

// turning are the characters that show later ones in another order than they have (Unicode Standard Annex 9, 2.1 and 2.2). The
// marks that Arabic and Hebrew texts need, U+200E, U+200F and U+061C, are not among them.
func turning(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }
