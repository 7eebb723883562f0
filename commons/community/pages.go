package community

import (
	"context"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
	"github.com/redoubt-dev/redoubt/commons/web/feed"
	postmodel "github.com/redoubt-dev/redoubt/commons/web/post"
	postedit "github.com/redoubt-dev/redoubt/commons/web/post-edit"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file"
)

// uploads is what the forms for posts take.
var uploads = attached.LimitsOf[posting]("Uploads")

// home welcomes a stranger, and shows a member what is new. A program with a key is no member at a browser: its scopes are asked
// for under /api.
func (c *Community) home(ctx context.Context, who layer.Principal, in redoubt.Window) (redoubt.View, error) {
	if !who.Interactive() {
		return redoubt.View{Page: "welcome", Title: "Welcome"}, nil
	}
	list, err := c.list(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := feed.View{MaxBody: maxPost, Uploads: uploads, Next: string(list.Next), Continued: in.Cursor != ""}
	for _, p := range list.Posts {
		view.Posts = append(view.Posts, shown(p))
	}
	return redoubt.View{Page: "feed", Title: "Feed", Data: view}, nil
}

func shown(p Post) feed.Post {
	return feed.Post{ID: string(p.ID), Author: p.Author, Picture: picture(p.AuthorAvatarID), Body: p.Body, Text: attachment.Shown(p.HTML, p.Files),
		Files: attached.Of(p.Files), Link: linked(p.Link), Posted: p.CreatedAt, Edited: p.EditedAt != nil,
		Likes: p.Likes, Liked: p.Liked, Bookmarked: p.Bookmarked, Comments: p.Comments, Mine: p.Mine}
}

// picture is the file with somebody's picture, or none.
func picture(id *file.ID) string {
	if id == nil {
		return ""
	}
	return string(*id)
}

func linked(l *Link) *attached.Link {
	if l == nil {
		return nil
	}
	return &attached.Link{To: attached.Address(l.URL), Title: l.Title, Description: l.Description, Site: l.Site}
}

func (c *Community) postPage(ctx context.Context, who layer.Principal, in pageOfPost) (redoubt.View, error) {
	p, err := c.read(ctx, who, OnePost{in.ID})
	if err != nil {
		return redoubt.View{}, err
	}
	list, err := c.comments(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := postmodel.View{Post: shown(p), MaxBody: maxComment, Next: string(list.Next), Continued: in.Cursor != ""}
	for _, s := range list.Comments {
		view.Comments = append(view.Comments, postmodel.Comment{ID: string(s.ID), Author: s.Author, Picture: picture(s.AuthorAvatarID), Body: s.Body, Posted: s.CreatedAt, Mine: s.Mine})
	}
	return redoubt.View{Page: "post", Title: "Post by " + p.Author, Data: view}, nil
}

func (c *Community) editPage(ctx context.Context, who layer.Principal, in OnePost) (redoubt.View, error) {
	p, err := c.read(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	if !p.Mine {
		return redoubt.View{}, &layer.Refusal{By: layer.RLS, Reason: layer.Forbidden, Public: "This belongs to somebody else.", Cause: errUnchanged}
	}
	return redoubt.View{Page: "post-edit", Title: "Edit post", Data: postedit.View{ID: string(p.ID), Body: p.Body, Files: attached.Of(p.Files),
		Posted: p.CreatedAt, Comments: p.Comments, MaxBody: maxPost, Uploads: uploads}}, nil
}
