// Package attached is what pages show beside a text that somebody wrote: pictures, documents, and what its first link leads to. It has
// no page of its own; the feed, a post, a lesson and the forms for them share it.
package attached

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/redoubt-dev/redoubt/commons/attachment"
)

// A File is a picture or a document, at /files/ID.
type File struct {
	ID     string
	Name   string // as whoever uploaded it called it; may be empty
	Kind   string // what it was found to be: "jpeg", "pdf", "docx" and so on
	Size   int64  // bytes
	Width  int    // of a picture in its largest size, in pixels; zero for a document
	Height int
	Inline bool // the text shows it
}

// Picture reports whether f can be shown.
func (f File) Picture() bool { return f.Width > 0 && f.Height > 0 }

// Title is what f is called; never empty.
func (f File) Title() string {
	if f.Name != "" {
		return f.Name
	}
	return "Unnamed " + strings.ToLower(f.What())
}

// whats are the kinds in words.
var whats = map[string]string{
	"jpeg": "Picture", "png": "Picture", "gif": "Picture", "webp": "Picture", "pdf": "PDF", "docx": "Word document", "odt": "Text document",
	"xlsx": "Excel workbook", "ods": "Spreadsheet", "pptx": "PowerPoint slides", "odp": "Slides", "zip": "ZIP archive", "txt": "Plain text", "csv": "CSV table",
}

// What says what f is. Of what this page does not know, it says only that it is a file.
func (f File) What() string {
	if what, known := whats[f.Kind]; known {
		return what
	}
	return "File"
}

// Weight is the size as people say it: "640 bytes", "12 KB", "3.4 MB".
func (f File) Weight() string {
	switch size := float64(max(f.Size, 0)); {
	case size < 1000:
		return fmt.Sprintf("%.0f bytes", size)
	case size < 999_500:
		return fmt.Sprintf("%.0f KB", size/1e3)
	case size < 9_950_000:
		return fmt.Sprintf("%.1f MB", size/1e6)
	default:
		return fmt.Sprintf("%.0f MB", size/1e6)
	}
}

// The longer side of the sizes in which a picture of a text is kept. A smaller picture is kept as it is.
const (
	small  = 320
	medium = 1024
)

// Widths are how wide the small and the medium size are, for the browser to choose.
func (f File) Widths() (widths struct{ Small, Medium int }) {
	widths.Small, widths.Medium = f.within(small), f.within(medium)
	return widths
}

// within is the width of a picture that was made to fit a square of that side.
func (f File) within(side int) int {
	longer := max(f.Width, f.Height)
	if longer <= side {
		return f.Width
	}
	return max(1, f.Width*side/longer)
}

// Files are those of one text, in their order.
type Files []File

// Of is what pages show of those that a text holds.
func Of(held []attachment.File) (files Files) {
	for _, h := range held {
		f := File{ID: string(h.ID), Name: h.Name, Kind: h.Kind, Size: h.Size, Inline: h.Inline}
		if h.Width != nil && h.Height != nil {
			f.Width, f.Height = *h.Width, *h.Height
		}
		files = append(files, f)
	}
	return files
}

// Pictures are those that are shown below the text, because it does not show them itself.
func (f Files) Pictures() (some Files) {
	for _, one := range f {
		if one.Picture() && !one.Inline {
			some = append(some, one)
		}
	}
	return some
}

// Documents are those that are saved and not shown.
func (f Files) Documents() (some Files) {
	for _, one := range f {
		if !one.Picture() && !one.Inline {
			some = append(some, one)
		}
	}
	return some
}

// Kept are those that a form for the text names, for keeping or taking away. What the text shows is kept by showing it.
func (f Files) Kept() (some Files) {
	for _, one := range f {
		if !one.Inline {
			some = append(some, one)
		}
	}
	return some
}

// A Link is what the page to which a text leads says of itself. It may say anything.
type Link struct {
	To          Address
	Title       string
	Description string // may be empty
	Site        string // what it calls itself; may be empty, or a lie: the page shows whose address it is as well
}

// An Address is one at some other site. The database lets in https alone; the page does not believe that, and shows anything else as a
// link that leads nowhere (SYSTEM N1).
type Address string

// Address is where the link leads.
func (a Address) Address() string {
	if a.site() == "" {
		return "#main"
	}
	return string(a)
}

// Site is the name of the other site, for people to know where the link leads.
func (a Address) Site() string {
	if site := a.site(); site != "" {
		return site
	}
	return "nowhere"
}

func (a Address) site() string {
	u, err := url.Parse(string(a))
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(string(a), "https://") {
		return ""
	}
	return strings.TrimPrefix(u.Hostname(), "www.")
}
