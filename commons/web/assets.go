package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// An asset is one file that pages ask for, under a name that changes when its content does.
type asset struct {
	content  []byte
	mimeType string
}

// assets holds the assets by address, and the addresses by the plain name that templates use.
type assets struct {
	byPath map[string]asset
	paths  map[string]string
}

// types are the only kinds of asset there are. The type is written here and not guessed from a system table.
var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// collect joins the style sheets in a fixed order, tokens first, then the layout's, then the pages' by name, and gives every
// asset its hashed name.
func collect(names []string) (assets, error) {
	a := assets{map[string]asset{}, map[string]string{}}
	sheets := []string{"layout/tokens.css", "layout/base.css", "layout/layout.css", "layout/text.css"}
	for _, n := range names {
		sheets = append(sheets, n+"/page.css")
	}
	var style bytes.Buffer
	for _, sheet := range sheets {
		content, err := fs.ReadFile(files, sheet)
		if err != nil {
			return a, fmt.Errorf("collecting styles: %w", err)
		}
		style.Write(content)
	}
	a.add("style.css", style.Bytes())
	for _, name := range []string{"app.js", "editor.js", "mark.svg"} {
		content, err := fs.ReadFile(files, "layout/"+name)
		if err != nil {
			return a, fmt.Errorf("collecting assets: %w", err)
		}
		a.add(name, content)
	}
	return a, nil
}

func (a assets) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	p := "/assets/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.byPath[p] = asset{content, types[ext]}
	a.paths[name] = p
}

// path is the address of an asset by its plain name. Templates call it; an unknown name is an error of the template.
func (a assets) path(name string) (string, error) {
	p, ok := a.paths[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return p, nil
}

// ServeHTTP answers for an asset's exact address and for nothing else. An address names its content, so it may be kept for
// ever; a wrong one is not kept at all, lest a deploy in progress leave its mark in caches.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are understood here.", http.StatusMethodNotAllowed)
		return
	}
	file, ok := a.byPath[r.URL.Path]
	if !ok {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "There is no such asset.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", file.mimeType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
}

// Assets serves the style, the script and the mark under /assets/. They hold nothing that anybody may not see.
func (s *Site) Assets() http.Handler { return s.assets }
