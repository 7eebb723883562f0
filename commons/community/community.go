// Package community is where an organization's members talk: posts, comments and likes.
package community

import (
	"context"
	"embed"
	"errors"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input/egress/unfurl"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is the community's line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// A Community answers for posts, comments and likes.
type Community struct {
	db    *rls.DB
	files *file.Files
	look  Look
}

// A Look says what is behind a link: unfurl.Read with a client of layer/input/egress.
type Look func(ctx context.Context, link string) (unfurl.Preview, error)

// New makes a Community. If look is nil, no post shows what its first link leads to.
func New(db *rls.DB, files *file.Files, look Look) *Community {
	return &Community{db, files, look}
}

// Routes declares everything the outside may ask of the community, and who may ask it.
func (c *Community) Routes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.Page("GET /{$}", redoubt.Public, c.home),
		redoubt.Form("POST /posts", redoubt.Members, c.publish).Back("GET /{$}").Then("/", "Your post is published."),
		redoubt.Page("GET /posts/{id}", redoubt.Members, c.postPage),
		redoubt.Page("GET /posts/{id}/edit", redoubt.Members, c.editPage),
		redoubt.Form("POST /posts/{id}/edit", redoubt.Members, c.republish).Back("GET /posts/{id}/edit"),
		redoubt.Form("POST /posts/{id}/delete", redoubt.Members, c.remove).Then("/", "The post is deleted."),
		redoubt.Form("POST /posts/{id}/like", redoubt.Members, c.toggle).Then("..", ""),
		redoubt.Form("POST /posts/{id}/comments", redoubt.Members, c.Comment).Back("GET /posts/{id}").Then("..", "Your comment is published."),
		redoubt.Form("POST /comments/{id}/delete", redoubt.Members, c.unsay).Then("..", "The comment is deleted."),

		redoubt.JSON("GET /api/v1/posts", redoubt.Scope("posts:read"), c.list).Doc("List posts, newest first"),
		redoubt.JSON("POST /api/v1/posts", redoubt.Scope("posts:write"), c.Write).Doc("Publish a post"),
		redoubt.JSON("GET /api/v1/posts/{id}", redoubt.Scope("posts:read"), c.read).Doc("Read one post"),
		redoubt.JSON("PUT /api/v1/posts/{id}", redoubt.Scope("posts:write"), c.edit).Doc("Change a post of your own"),
		redoubt.JSON("DELETE /api/v1/posts/{id}", redoubt.Scope("posts:write"), c.remove).Doc("Delete a post of your own; an administrator may delete any"),
		redoubt.JSON("PUT /api/v1/posts/{id}/like", redoubt.Scope("posts:write"), c.Like).Doc("Like a post"),
		redoubt.JSON("DELETE /api/v1/posts/{id}/like", redoubt.Scope("posts:write"), c.unlike).Doc("Take your like back"),
		redoubt.JSON("GET /api/v1/posts/{id}/comments", redoubt.Scope("comments:read"), c.comments).Doc("List what was said about a post, oldest first"),
		redoubt.JSON("POST /api/v1/posts/{id}/comments", redoubt.Scope("comments:write"), c.Comment).Doc("Comment on a post"),
		redoubt.JSON("DELETE /api/v1/comments/{id}", redoubt.Scope("comments:write"), c.unsay).Doc("Delete a comment of your own; an administrator may delete any"),
	}
}

// Distinct ids for distinct things.
type (
	PostID    string
	CommentID string
)

// Constraints says that a PostID is a UUID.
func (PostID) Constraints() reflect.StructTag { return `format:"uuid"` }

// Constraints says that a CommentID is a UUID.
func (CommentID) Constraints() reflect.StructTag { return `format:"uuid"` }

// A Post is what a member has written to the others.
type Post struct {
	ID             PostID            `json:"id"`
	AuthorID       *layer.ProfileID  `json:"author_id" doc:"null when the author has been deleted"`
	Author         string            `json:"author" doc:"display name"`
	AuthorAvatarID *file.ID          `json:"author_avatar_id" doc:"the file with their picture; null for none"`
	Body           string            `json:"body" doc:"as it was written, in Markdown"`
	HTML           string            `json:"html" doc:"made of the body and cleaned; whoever shows it cleans it again"`
	Files          []attachment.File `json:"files" doc:"pictures within the text, and what hangs below it"`
	Link           *Link             `json:"link" doc:"what its first link leads to; null for nothing"`
	CreatedAt      time.Time         `json:"created_at"`
	EditedAt       *time.Time        `json:"edited_at"`
	Likes          int               `json:"likes"`
	Liked          bool              `json:"liked" doc:"by you"`
	Bookmarked     bool              `json:"bookmarked" doc:"by you"`
	Comments       int               `json:"comments"`
	Mine           bool              `json:"mine" doc:"you wrote it"`
}

// Location is where the post can be found.
func (p Post) Location() string { return "/posts/" + string(p.ID) }

// A Comment is what a member has said about a post.
type Comment struct {
	ID             CommentID        `json:"id"`
	PostID         PostID           `json:"post_id"`
	AuthorID       *layer.ProfileID `json:"author_id" doc:"null when the author has been deleted"`
	Author         string           `json:"author" doc:"display name"`
	AuthorAvatarID *file.ID         `json:"author_avatar_id" doc:"the file with their picture; null for none"`
	Body           string           `json:"body" doc:"plain text"`
	CreatedAt      time.Time        `json:"created_at"`
	Mine           bool             `json:"mine" doc:"you wrote it"`
}

type (
	// Nothing is the answer when there is nothing to say.
	Nothing struct{}

	// OnePost names a post.
	OnePost struct {
		ID PostID `path:"id"`
	}
	oneComment struct {
		ID CommentID `path:"id"`
	}
	pageOfPost struct {
		ID PostID `path:"id"`
		redoubt.Window
	}
	// PostList is a page of posts.
	PostList struct {
		Posts []Post         `json:"posts"`
		Next  redoubt.Cursor `json:"next,omitempty"`
	}
	// CommentList is a page of comments.
	CommentList struct {
		Comments []Comment      `json:"comments"`
		Next     redoubt.Cursor `json:"next,omitempty"`
	}
)

const postColumns = `
select p.id, p.author_id, coalesce(a.display_name, p.author_name) as author, a.avatar_id as author_avatar_id, p.body, p.html, p.created_at, p.edited_at,
       (select coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('inline', h.inline) order by h.position), '[]')
          from commons.post_file h join commons.attachment f on f.organization_id = h.organization_id and f.id = h.file_id
         where h.organization_id = p.organization_id and h.post_id = p.id) as files,
       (select jsonb_build_object('url', k.url, 'title', k.title, 'description', k.description, 'site', k.site) from commons.post_link k where k.organization_id = p.organization_id and k.post_id = p.id) as link,
       (select count(*) from commons.post_like l where l.organization_id = p.organization_id and l.post_id = p.id) as likes,
       exists (select from commons.post_like l where l.organization_id = p.organization_id and l.post_id = p.id and l.profile_id = (select redoubt.profile())) as liked,
       exists (select from commons.bookmark b where b.organization_id = p.organization_id and b.post_id = p.id and b.profile_id = (select redoubt.profile())) as bookmarked,
       (select count(*) from commons.comment c where c.organization_id = p.organization_id and c.post_id = p.id) as comments,
       coalesce(p.author_id = (select redoubt.profile()), false) as mine
  from commons.post p left join commons.profile a on a.organization_id = p.organization_id and a.id = p.author_id`

const (
	selectPosts = postColumns + `
 where $1::timestamptz is null or (p.created_at, p.id) < ($1, $2::uuid)
 order by p.created_at desc, p.id desc limit $3`
	selectPost = postColumns + ` where p.id = $1`
)

func (c *Community) list(ctx context.Context, who layer.Principal, in redoubt.Window) (PostList, error) {
	at, id := in.Cursor.Place()
	rows, err := rls.All[Post](c.db.As(ctx, who), selectPosts, at, id, in.Size()+1)
	if err != nil {
		return PostList{}, err
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(p Post) redoubt.Cursor { return redoubt.CursorAt(p.CreatedAt, string(p.ID)) })
	return PostList{rows, next}, nil
}

const anyPost = `select exists (select from commons.post)`

// Any reports whether who's organization has a post.
func (c *Community) Any(ctx context.Context, who layer.Principal) (bool, error) {
	return rls.One[bool](c.db.As(ctx, who), anyPost)
}

func (c *Community) read(ctx context.Context, who layer.Principal, in OnePost) (Post, error) {
	return rls.One[Post](c.db.As(ctx, who), selectPost, in.ID)
}

const (
	maxPost    = 5000
	maxComment = 2000
)

const deletePost = `delete from commons.post where id = $1`

func (c *Community) remove(ctx context.Context, who layer.Principal, in OnePost) (Nothing, error) {
	done, err := action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (Nothing, error) {
		author, err := rls.One[layer.ProfileID](tx, selectPostAuthor, in.ID)
		if err != nil {
			return Nothing{}, err
		}
		if err := ownOrModerate(tx, who, author); err != nil {
			return Nothing{}, err
		}
		if err := changed(rls.Do(tx, deletePost, in.ID)); err != nil {
			return Nothing{}, err
		}
		return Nothing{}, tx.Audit(audit.Lifecycle, "post.deleted", string(in.ID))
	})
	if err == nil {
		c.files.Sweep(ctx, who) // what the post alone held is gone for everybody; now its bytes go, too
	}
	return done, err
}

// ownOrModerate lets an author, or an administrator, remove what stands there.
func ownOrModerate(tx *action.Tx, who layer.Principal, author layer.ProfileID) error {
	if who.Has("posts:moderate") {
		return nil // the policy own_delete asks the database the same
	}
	return tx.Own(author)
}

var errUnchanged = errors.New("the policies let nothing be changed")

// changed turns "no row was touched", after the row was seen, into the refusal that it is: a policy of the table said no.
func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return &layer.Refusal{By: layer.RLS, Reason: layer.Forbidden, Public: "You may not do this.", Cause: errUnchanged}
	}
	return err
}

const (
	insertLike = `insert into commons.post_like (post_id) values ($1) on conflict do nothing`
	deleteLike = `delete from commons.post_like where post_id = $1 and profile_id = redoubt.profile()`
)

// Like likes a post in who's name; twice is once.
func (c *Community) Like(ctx context.Context, who layer.Principal, in OnePost) (Nothing, error) {
	return action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (Nothing, error) {
		_, err := rls.Do(tx, insertLike, in.ID)
		return Nothing{}, err
	})
}

func (c *Community) unlike(ctx context.Context, who layer.Principal, in OnePost) (Nothing, error) {
	return action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (Nothing, error) {
		_, err := rls.Do(tx, deleteLike, in.ID)
		return Nothing{}, err
	})
}

// toggle likes, or takes the like back.
func (c *Community) toggle(ctx context.Context, who layer.Principal, in OnePost) (Nothing, error) {
	return action.Do(ctx, c.db, who, "posts:write", func(tx *action.Tx) (Nothing, error) {
		n, err := rls.Do(tx, deleteLike, in.ID)
		if err == nil && n == 0 {
			_, err = rls.Do(tx, insertLike, in.ID)
		}
		return Nothing{}, err
	})
}

const commentColumns = `
select c.id, c.post_id, c.author_id, coalesce(a.display_name, c.author_name) as author, a.avatar_id as author_avatar_id, c.body, c.created_at, coalesce(c.author_id = (select redoubt.profile()), false) as mine
  from commons.comment c left join commons.profile a on a.organization_id = c.organization_id and a.id = c.author_id`

const (
	selectComments = commentColumns + `
 where c.post_id = $4 and ($1::timestamptz is null or (c.created_at, c.id) > ($1, $2::uuid))
 order by c.created_at, c.id limit $3`
	selectComment = commentColumns + ` where c.id = $1`
)

func (c *Community) comments(ctx context.Context, who layer.Principal, in pageOfPost) (CommentList, error) {
	at, id := in.Cursor.Place()
	rows, err := rls.All[Comment](c.db.As(ctx, who), selectComments, at, id, in.Size()+1, in.ID)
	if err != nil {
		return CommentList{}, err
	}
	if len(rows) == 0 { // tell a post without comments from no post
		if _, err := rls.One[layer.ProfileID](c.db.As(ctx, who), selectPostAuthor, in.ID); err != nil {
			return CommentList{}, err
		}
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(c Comment) redoubt.Cursor { return redoubt.CursorAt(c.CreatedAt, string(c.ID)) })
	return CommentList{rows, next}, nil
}

// Say is a new comment.
type Say struct {
	ID   PostID `path:"id"`
	Body string `json:"body" minLength:"1" maxLength:"2000" multiline:"true"`
}

const insertComment = `insert into commons.comment (post_id, body) values ($1, $2) returning id`

// Comment says something about a post in who's name.
func (c *Community) Comment(ctx context.Context, who layer.Principal, in Say) (Comment, error) {
	return action.Do(ctx, c.db, who, "comments:write", func(tx *action.Tx) (Comment, error) {
		id, err := rls.One[CommentID](tx, insertComment, in.ID, in.Body)
		if err != nil {
			return Comment{}, err
		}
		return rls.One[Comment](tx, selectComment, id)
	})
}

const (
	selectCommentAuthor = `select coalesce(author_id, '00000000-0000-0000-0000-000000000000') from commons.comment where id = $1`
	deleteComment       = `delete from commons.comment where id = $1`
)

func (c *Community) unsay(ctx context.Context, who layer.Principal, in oneComment) (Nothing, error) {
	return action.Do(ctx, c.db, who, "comments:write", func(tx *action.Tx) (Nothing, error) {
		author, err := rls.One[layer.ProfileID](tx, selectCommentAuthor, in.ID)
		if err != nil {
			return Nothing{}, err
		}
		if err := ownOrModerate(tx, who, author); err != nil {
			return Nothing{}, err
		}
		return Nothing{}, changed(rls.Do(tx, deleteComment, in.ID))
	})
}
