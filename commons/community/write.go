package community

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A Link is what the page to which a post leads says of itself.
type Link struct {
	URL         string `json:"url"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Site        string `json:"site"`
}

type (
	// WritePost is a new post.
	WritePost struct {
		Body  string    `json:"body" minLength:"1" maxLength:"5000" multiline:"true" doc:"Markdown"`
		Files []file.ID `json:"files,omitempty" maxItems:"8" doc:"uploads of yours, to hang below the text; pictures that it shows are found by themselves"`
	}
	// EditPost is what a post says from now on.
	EditPost struct {
		ID PostID `path:"id"`
		WritePost
	}
	// A posting is a post as a page sends it, with files that come along.
	posting struct {
		WritePost
		Uploads []input.Upload `json:"uploads,omitempty" maxItems:"4" maxBytes:"26214400" accept:"image/jpeg,image/png,image/gif,image/webp,.pdf,.docx,.xlsx,.pptx,.odt,.ods,.odp,.zip,.txt,.csv"`
	}
	editing struct {
		ID PostID `path:"id"`
		posting
	}
)

// publish is Write for a page: first the files that came along are kept, and if there is no post then, they are taken back.
func (c *Community) publish(ctx context.Context, who layer.Principal, in posting) (Post, error) {
	kept, err := c.files.KeepAll(ctx, who, "uploads", in.Uploads, attachment.Attachment)
	if err != nil {
		return Post{}, err
	}
	post, err := c.Write(ctx, who, WritePost{in.Body, append(in.Files, kept...)})
	if err != nil {
		c.files.Drop(ctx, who, kept...)
	}
	return post, err
}

// republish is edit for a page.
func (c *Community) republish(ctx context.Context, who layer.Principal, in editing) (Post, error) {
	kept, err := c.files.KeepAll(ctx, who, "uploads", in.Uploads, attachment.Attachment)
	if err != nil {
		return Post{}, err
	}
	post, err := c.edit(ctx, who, EditPost{in.ID, WritePost{in.Body, append(in.Files, kept...)}})
	if err != nil {
		c.files.Drop(ctx, who, kept...)
	}
	return post, err
}

const insertPost = `insert into commons.post (body, html) values ($1, $2) returning id`

// Write publishes a post in who's name.
func (c *Community) Write(ctx context.Context, who layer.Principal, in WritePost) (Post, error) {
	var text richtext.Document
	post, err := action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (_ Post, err error) {
		if text, err = richtext.FromMarkdown("body", in.Body); err != nil {
			return Post{}, err
		}
		id, err := rls.One[PostID](tx, insertPost, text.Source, text.HTML)
		if err != nil {
			return Post{}, err
		}
		if err := attach(tx, id, text, in.Files); err != nil {
			return Post{}, err
		}
		if err := tx.Audit(audit.Lifecycle, "post.published", string(id)); err != nil {
			return Post{}, err
		}
		return rls.One[Post](tx, selectPost, id)
	})
	if err != nil {
		return Post{}, err
	}
	return c.introduce(ctx, who, post, text.Links), nil
}

const (
	selectPostAuthor = `select coalesce(author_id, '00000000-0000-0000-0000-000000000000') from commons.post where id = $1`
	updatePost       = `update commons.post set body = $2, html = $3, edited_at = now() where id = $1`
	stripFiles       = `delete from commons.post_file where post_id = $1`
	stripLink        = `delete from commons.post_link where post_id = $1`
)

func (c *Community) edit(ctx context.Context, who layer.Principal, in EditPost) (Post, error) {
	var text richtext.Document
	post, err := action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (_ Post, err error) {
		if text, err = richtext.FromMarkdown("body", in.Body); err != nil {
			return Post{}, err
		}
		return rewrite(tx, in, text)
	})
	if err != nil {
		return Post{}, err
	}
	c.files.Sweep(ctx, who) // what it held and does not any more
	return c.introduce(ctx, who, post, text.Links), nil
}

func rewrite(tx *action.Tx, in EditPost, text richtext.Document) (Post, error) {
	author, err := rls.One[layer.ProfileID](tx, selectPostAuthor, in.ID)
	if err != nil {
		return Post{}, err
	}
	if err := tx.Own(author); err != nil {
		return Post{}, err
	}
	if err := changed(rls.Do(tx, updatePost, in.ID, text.Source, text.HTML)); err != nil {
		return Post{}, err
	}
	if _, err := rls.Do(tx, stripFiles, in.ID); err != nil {
		return Post{}, err
	}
	if _, err := rls.Do(tx, stripLink, in.ID); err != nil {
		return Post{}, err
	}
	if err := attach(tx, in.ID, text, in.Files); err != nil {
		return Post{}, err
	}
	return rls.One[Post](tx, selectPost, in.ID)
}

const (
	// What the text shows comes first, and is not shown below it again. A file that the author does not see is refused by the table.
	insertFiles = `
insert into commons.post_file (post_id, file_id, position, inline)
select $1, w.id, row_number() over (order by w.inline desc, w.place), w.inline
  from (select distinct on (u.id) u.id, u.place, u.inline
          from (select i.id, i.place, true as inline from unnest($2::uuid[]) with ordinality i (id, place)
                union all select f.id, f.place, false from unnest($3::uuid[]) with ordinality f (id, place)) u
         order by u.id, u.inline desc, u.place) w`
	insertLink = `insert into commons.post_link (post_id, url, title, description, site) values ($1, $2, $3, $4, $5) on conflict do nothing`
)

// attach gives a post its files.
func attach(tx *action.Tx, id PostID, text richtext.Document, files []file.ID) error {
	if len(text.Images)+len(files) == 0 {
		return nil
	}
	_, err := rls.Do(tx, insertFiles, id, text.Images, files)
	return attachment.Missing(err)
}

// linkWait bounds what a post waits for the page that it leads to.
const linkWait = 3 * time.Second

// introduce adds to a post that is there what its first link leads to. A page that does not answer, or may not be asked, takes nothing from it.
func (c *Community) introduce(ctx context.Context, who layer.Principal, post Post, links []string) Post {
	first := slices.IndexFunc(links, func(address string) bool { return strings.HasPrefix(address, "https://") })
	if c.look == nil || first < 0 {
		return post
	}
	asking, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	said, err := c.look(asking, links[first])
	if err != nil || said.Title == "" {
		return post
	}
	link, err := action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (*Link, error) {
		_, err := rls.Do(tx, insertLink, post.ID, links[first], said.Title, said.Description, said.Site)
		return &Link{URL: links[first], Title: said.Title, Description: said.Description, Site: said.Site}, err
	})
	if err == nil {
		post.Link = link
	}
	return post
}
