package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Content is a file, ready to be sent. Whoever has it closes it.
type Content struct {
	*store.Content
	Name      string // as people know it, with the extension of what it is; it may hold any letters
	MediaType string // exactly
	Tag       string // of these bytes: other bytes never have it. It says nothing about where they lie
	Inline    bool   // a picture, which a page may show; everything else is saved
}

const selectObject = `
select f.name as file_name, o.name, o.media_type, o.width is not null as picture
  from files.file f
  join files.object o on o.organization_id = f.organization_id and o.content_id = f.content_id
 where f.id = $1 and ($2 = o.variant or $2 = '' and o.variant = (
       select i.variant from files.object i where i.organization_id = f.organization_id and i.content_id = f.content_id order by i.size desc limit 1))`

// Open finds one variant of a file that who may see, or its largest for "". A file of another organization, one that nobody has shown
// yet, and none at all are the same refusal, of layer rls.
func (f *Files) Open(ctx context.Context, who layer.Principal, id ID, variant string) (*Content, error) {
	type row struct {
		FileName  string
		Name      string
		MediaType string
		Picture   bool
	}
	found, err := rls.One[row](f.cfg.DB.As(ctx, who), selectObject, id, variant)
	if err != nil {
		return nil, err
	}
	content, err := f.cfg.Store.Open(ctx, store.Key{Organization: who.Organization(), Name: found.Name})
	if err != nil {
		return nil, refusal(layer.Unavailable, "The file cannot be read at the moment. Please try again.", fmt.Errorf("opening an object: %w", err))
	}
	f.sweepSometimes(ctx, who)
	return &Content{Content: content, Name: called(found.FileName, found.Name), MediaType: found.MediaType, Tag: tag(found.Name), Inline: found.Picture}, nil
}

// called is a file's name with the extension of what is stored, whatever it was called when it came.
func called(given, stored string) string {
	extension := stored[strings.IndexByte(stored, '.'):]
	if dot := strings.LastIndexByte(given, '.'); dot > 0 {
		given = given[:dot]
	}
	if given == "" {
		given = "file"
	}
	return given + extension
}

func tag(stored string) string {
	h := sha256.Sum256([]byte(stored))
	return hex.EncodeToString(h[:16])
}
