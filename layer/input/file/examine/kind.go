package examine

import (
	"path"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/input/file/document"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// A Kind is what a file is: one of picture's formats or of document's kinds, under the same name.
type Kind string

// The kinds that there are, in two sets.
var (
	Images    = []Kind{Kind(picture.JPEG), Kind(picture.PNG), Kind(picture.GIF), Kind(picture.WebP)}
	Documents = []Kind{Kind(document.PDF), Kind(document.DOCX), Kind(document.XLSX), Kind(document.PPTX), Kind(document.ODT), Kind(document.ODS),
		Kind(document.ODP), Kind(document.ZIP), Kind(document.TXT), Kind(document.CSV)}
)

// Image reports whether k is drawn anew, and not kept as it came.
func (k Kind) Image() bool {
	switch picture.Format(k) {
	case picture.JPEG, picture.PNG, picture.GIF, picture.WebP:
		return true
	}
	return false
}

// mediaType is what a file of this kind is sent as; empty for no kind.
func (k Kind) mediaType() string {
	if k.Image() {
		return "image/" + string(k)
	}
	return document.Kind(k).MediaType()
}

// extension is ours for a file of this kind; empty for no kind.
func (k Kind) extension() string {
	switch {
	case k.mediaType() == "":
		return ""
	case picture.Format(k) == picture.JPEG:
		return ".jpg"
	}
	return "." + string(k)
}

// shown is how people call a kind.
func (k Kind) shown() string {
	switch {
	case k == Kind(picture.WebP):
		return "WebP"
	case k == Kind(document.TXT):
		return "text"
	}
	return strings.ToUpper(string(k))
}

// mostEnding bounds what of a name is looked at.
const mostEnding = 16

// ending is what a name ends in, in lower case and without its dot, as the most forgiving system reads it: Windows drops spaces and
// dots behind it, and others end a name at a null.
func ending(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.ToLower(strings.TrimRight(name, ". \t\r\n"))
	e := strings.TrimPrefix(path.Ext(name), ".")
	if len(e) > mostEnding || strings.ContainsFunc(e, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return "" // none that a system would know
	}
	return e
}

// started are endings by which a system starts or renders a file, whatever is in it.
var started = strings.Fields(`exe com scr pif bat cmd msi msp mst msix appx ps1 psm1 psd1 vbs vbe js mjs jse wsf wsh wsc hta cpl dll ocx sys drv lnk url
	inf reg scf chm hlp jar jnlp class apk ipa app dmg pkg iso img vhd vhdx command workflow desktop appimage run bin deb rpm sh bash zsh csh ksh fish
	py pyc pyw rb pl php php3 php4 php5 phtml phar cgi asp aspx ashx asmx jsp jspx cfm htaccess
	html htm xhtml xht shtml mht mhtml svg svgz xml xsl xslt rss atom swf wasm application gadget library theme settingcontent diagcab`)

// withMacros are the endings of Office's for documents and templates with macros.
var withMacros = strings.Fields("docm dotm xlsm xltm xlsb xlam xla pptm potm ppam ppsm ppa sldm")

func startable(ending string) bool { return slices.Contains(started, ending) }
