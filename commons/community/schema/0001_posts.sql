-- What people write stays when they are deleted (SYSTEM I8), without their id; the name that stands there then is nobody's to
-- write. Likes go with them.
CREATE TABLE commons.post (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  author_id       uuid        DEFAULT redoubt.profile(),
  author_name     text        GENERATED ALWAYS AS (CASE WHEN author_id IS NULL THEN '[Deleted User]' END) STORED,
  body            text        NOT NULL CHECK (length(body) BETWEEN 1 AND 5000), -- as it was written, in Markdown
  html            text        NOT NULL DEFAULT '' CHECK (length(html) <= 60000), -- made of it and cleaned; cleaned again by other code when it is shown
  created_at      timestamptz NOT NULL DEFAULT now(),
  edited_at       timestamptz,
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, author_id) REFERENCES commons.profile (organization_id, id) ON DELETE SET NULL (author_id)
);
CREATE INDEX ON commons.post (organization_id, created_at DESC, id DESC);
CREATE INDEX ON commons.post (organization_id, author_id);

-- The files of a post: pictures within its text, and what hangs below it. They are its author's to add and to take away.
CREATE TABLE commons.post_file (
  organization_id uuid NOT NULL,
  post_id         uuid NOT NULL,
  file_id         uuid NOT NULL,
  position        int  NOT NULL CHECK (position BETWEEN 1 AND 100),
  inline          bool NOT NULL, -- the text shows it
  PRIMARY KEY (organization_id, post_id, file_id),
  FOREIGN KEY (organization_id, post_id) REFERENCES commons.post (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, file_id) REFERENCES files.file (organization_id, id)
);
CREATE INDEX ON commons.post_file (organization_id, file_id);
SELECT files.held_by('commons.post_file', 'file_id');

-- What the page says of itself to which a post's first link leads, at the time of writing. No picture of it: that would tell the other side who reads.
CREATE TABLE commons.post_link (
  organization_id uuid NOT NULL,
  post_id         uuid NOT NULL,
  url             text NOT NULL CHECK (length(url) BETWEEN 10 AND 2000 AND url ~ '^https?://'),
  title           text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  description     text NOT NULL DEFAULT '' CHECK (length(description) <= 400),
  site            text NOT NULL DEFAULT '' CHECK (length(site) <= 100),
  PRIMARY KEY (organization_id, post_id),
  FOREIGN KEY (organization_id, post_id) REFERENCES commons.post (organization_id, id) ON DELETE CASCADE
);

CREATE TABLE commons.comment (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  post_id         uuid        NOT NULL,
  author_id       uuid        DEFAULT redoubt.profile(),
  author_name     text        GENERATED ALWAYS AS (CASE WHEN author_id IS NULL THEN '[Deleted User]' END) STORED,
  body            text        NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, post_id) REFERENCES commons.post (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, author_id) REFERENCES commons.profile (organization_id, id) ON DELETE SET NULL (author_id)
);
CREATE INDEX ON commons.comment (organization_id, post_id, created_at, id);
CREATE INDEX ON commons.comment (organization_id, author_id);

CREATE TABLE commons.post_like (
  organization_id uuid        NOT NULL,
  post_id         uuid        NOT NULL,
  profile_id      uuid        NOT NULL DEFAULT redoubt.profile(),
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, post_id, profile_id), -- one like each
  FOREIGN KEY (organization_id, post_id) REFERENCES commons.post (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, profile_id) REFERENCES commons.profile (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX ON commons.post_like (organization_id, profile_id);

-- Nobody writes in another's name, nor alters another's words. An administrator may remove them.
CREATE POLICY own_insert ON commons.post AS RESTRICTIVE FOR INSERT WITH CHECK (author_id = (SELECT redoubt.profile()));
CREATE POLICY own_update ON commons.post AS RESTRICTIVE FOR UPDATE USING (author_id = (SELECT redoubt.profile()));
CREATE POLICY own_delete ON commons.post AS RESTRICTIVE FOR DELETE USING (author_id = (SELECT redoubt.profile()) OR (SELECT redoubt.has('posts:moderate')));
CREATE POLICY own_insert ON commons.post_file AS RESTRICTIVE FOR INSERT WITH CHECK (
  EXISTS (SELECT FROM commons.post p WHERE p.organization_id = post_file.organization_id AND p.id = post_id AND p.author_id = (SELECT redoubt.profile())));
CREATE POLICY own_delete ON commons.post_file AS RESTRICTIVE FOR DELETE USING (
  EXISTS (SELECT FROM commons.post p WHERE p.organization_id = post_file.organization_id AND p.id = post_id AND p.author_id = (SELECT redoubt.profile())));
CREATE POLICY own_insert ON commons.post_link AS RESTRICTIVE FOR INSERT WITH CHECK (
  EXISTS (SELECT FROM commons.post p WHERE p.organization_id = post_link.organization_id AND p.id = post_id AND p.author_id = (SELECT redoubt.profile())));
CREATE POLICY own_delete ON commons.post_link AS RESTRICTIVE FOR DELETE USING (
  EXISTS (SELECT FROM commons.post p WHERE p.organization_id = post_link.organization_id AND p.id = post_id AND p.author_id = (SELECT redoubt.profile())));
CREATE POLICY own_insert ON commons.comment AS RESTRICTIVE FOR INSERT WITH CHECK (author_id = (SELECT redoubt.profile()));
CREATE POLICY own_update ON commons.comment AS RESTRICTIVE FOR UPDATE USING (author_id = (SELECT redoubt.profile()));
CREATE POLICY own_delete ON commons.comment AS RESTRICTIVE FOR DELETE USING (author_id = (SELECT redoubt.profile()) OR (SELECT redoubt.has('posts:moderate')));
CREATE POLICY own_insert ON commons.post_like AS RESTRICTIVE FOR INSERT WITH CHECK (profile_id = (SELECT redoubt.profile()));
CREATE POLICY own_delete ON commons.post_like AS RESTRICTIVE FOR DELETE USING (profile_id = (SELECT redoubt.profile()));

GRANT SELECT, DELETE, INSERT (id, body, html), UPDATE (body, html, edited_at) ON commons.post TO redoubt_app;
GRANT SELECT, DELETE, INSERT (post_id, file_id, position, inline) ON commons.post_file TO redoubt_app;
GRANT SELECT, DELETE, INSERT (post_id, url, title, description, site) ON commons.post_link TO redoubt_app;
GRANT SELECT, DELETE, INSERT (id, post_id, body) ON commons.comment TO redoubt_app;
GRANT SELECT, DELETE, INSERT (post_id) ON commons.post_like TO redoubt_app;

SELECT redoubt.allow('member', 'posts:read', 'posts:write', 'comments:read', 'comments:write');
SELECT redoubt.allow('administrator', 'posts:read', 'posts:write', 'posts:moderate', 'comments:read', 'comments:write');
