-- A course is made of lessons in an order. It begins as a draft that only its makers see, is published with at least one lesson, and may
-- be archived and published again; what members have seen does not become a draft again, nor disappear (SYSTEM D4).
CREATE TABLE commons.course (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  author_id       uuid        DEFAULT redoubt.profile(),
  author_name     text        GENERATED ALWAYS AS (CASE WHEN author_id IS NULL THEN '[Deleted User]' END) STORED, -- SYSTEM I8
  title           text        NOT NULL CHECK (length(title) BETWEEN 1 AND 100 AND title = btrim(title)),
  summary         text        NOT NULL DEFAULT '' CHECK (length(summary) <= 1000),
  state           text        NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'published', 'archived')),
  lessons         int         NOT NULL DEFAULT 0 CHECK (lessons BETWEEN 0 AND 200),
  created_at      timestamptz NOT NULL DEFAULT now(),
  published_at    timestamptz,
  PRIMARY KEY (organization_id, id),
  CHECK (state = 'draft' OR lessons > 0),
  CHECK ((state = 'draft') = (published_at IS NULL)),
  FOREIGN KEY (organization_id, author_id) REFERENCES commons.profile (organization_id, id) ON DELETE SET NULL (author_id)
);
CREATE INDEX ON commons.course (organization_id, created_at DESC, id DESC);
CREATE INDEX ON commons.course (organization_id, author_id);

-- A lesson is a video, a text, or both. Positions are unique at every moment, so that whoever puts lessons in order moves them aside
-- first: the upper half is for that.
CREATE TABLE commons.lesson (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  course_id       uuid        NOT NULL,
  position        int         NOT NULL CHECK (position BETWEEN 1 AND 400),
  title           text        NOT NULL CHECK (length(title) BETWEEN 1 AND 100 AND title = btrim(title)),
  video_url       text        CHECK (length(video_url) <= 500 AND video_url ~ '^https://[^[:space:]/?#@]+([/?#][^[:space:]]*)?$'),
  body            text        CHECK (length(body) BETWEEN 1 AND 20000), -- in Markdown
  html            text        NOT NULL DEFAULT '' CHECK (length(html) <= 200000), -- made of it and cleaned; cleaned again when it is shown
  created_at      timestamptz NOT NULL DEFAULT now(),
  edited_at       timestamptz,
  PRIMARY KEY (organization_id, id),
  UNIQUE (organization_id, course_id, position),
  UNIQUE (organization_id, course_id, id), -- so that what refers to a lesson can say of which course it is
  CHECK (num_nonnulls(video_url, body) > 0),
  FOREIGN KEY (organization_id, course_id) REFERENCES commons.course (organization_id, id) ON DELETE CASCADE
);

-- What a lesson hands out, and the pictures within its text.
CREATE TABLE commons.lesson_file (
  organization_id uuid NOT NULL,
  lesson_id       uuid NOT NULL,
  file_id         uuid NOT NULL,
  position        int  NOT NULL CHECK (position BETWEEN 1 AND 100),
  inline          bool NOT NULL, -- the text shows it
  PRIMARY KEY (organization_id, lesson_id, file_id),
  FOREIGN KEY (organization_id, lesson_id) REFERENCES commons.lesson (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, file_id) REFERENCES files.file (organization_id, id)
);
CREATE INDEX ON commons.lesson_file (organization_id, file_id);

-- What a member has been through. It is theirs alone, and goes with them (SYSTEM I8).
CREATE TABLE commons.lesson_done (
  organization_id uuid        NOT NULL,
  course_id       uuid        NOT NULL,
  lesson_id       uuid        NOT NULL,
  profile_id      uuid        NOT NULL DEFAULT redoubt.profile(),
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, lesson_id, profile_id), -- once each
  FOREIGN KEY (organization_id, course_id, lesson_id) REFERENCES commons.lesson (organization_id, course_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, profile_id) REFERENCES commons.profile (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX ON commons.lesson_done (organization_id, profile_id, course_id);
CREATE INDEX ON commons.lesson_done (organization_id, course_id, lesson_id);

-- The trail says that something was done, and not what.
SELECT guard.personal('commons.lesson_done', 'course_id', 'lesson_id');

-- The ways that a course can go. Statements say the state; how many lessons there are, and since when it can be seen, the database
-- finds out by itself, whatever they say. Who may update a course sees all of its lessons, so the count is of all.
CREATE FUNCTION commons.move_course() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.state := 'draft';
    NEW.lessons := 0;
    NEW.published_at := NULL;
    RETURN NEW;
  ELSIF TG_OP = 'DELETE' THEN
    IF OLD.state <> 'draft' THEN
      RAISE EXCEPTION 'redoubt: only a draft can be deleted' USING ERRCODE = 'RD409';
    END IF;
    RETURN OLD;
  END IF;
  IF NEW.id <> OLD.id OR NEW.created_at <> OLD.created_at
     OR NEW.author_id IS DISTINCT FROM OLD.author_id
        AND (NEW.author_id IS NOT NULL OR EXISTS (SELECT FROM commons.profile p WHERE p.organization_id = OLD.organization_id AND p.id = OLD.author_id)) THEN
    RAISE EXCEPTION 'redoubt: a course keeps its author' USING ERRCODE = 'RD409';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
    ('draft', 'published'),
    ('published', 'archived'),
    ('archived', 'published')) THEN
    RAISE EXCEPTION 'redoubt: a course cannot go this way' USING ERRCODE = 'RD409';
  END IF;
  NEW.lessons := (SELECT count(*) FROM commons.lesson l WHERE l.organization_id = NEW.organization_id AND l.course_id = NEW.id);
  NEW.published_at := CASE WHEN NEW.state <> 'draft' THEN coalesce(OLD.published_at, now()) END;
  RETURN NEW;
END $$;
CREATE TRIGGER move_course BEFORE INSERT OR UPDATE OR DELETE ON commons.course FOR EACH ROW EXECUTE FUNCTION commons.move_course();

-- A lesson stays in its course; and when one comes or goes, touching the course makes it count. The touch also waits for whoever is
-- publishing, so that a course is not left without lessons between two transactions.
CREATE FUNCTION commons.keep_lesson() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.course_id <> OLD.course_id OR NEW.created_at <> OLD.created_at THEN
    RAISE EXCEPTION 'redoubt: a lesson stays in its course' USING ERRCODE = 'RD409';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_lesson BEFORE UPDATE ON commons.lesson FOR EACH ROW EXECUTE FUNCTION commons.keep_lesson();

CREATE FUNCTION commons.count_lesson() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE commons.course c SET title = c.title
   WHERE c.organization_id = coalesce(NEW.organization_id, OLD.organization_id) AND c.id = coalesce(NEW.course_id, OLD.course_id);
  IF TG_OP = 'INSERT' AND NOT FOUND THEN
    RAISE EXCEPTION 'redoubt: no such course' USING ERRCODE = '23503';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER count_lesson AFTER INSERT OR DELETE ON commons.lesson FOR EACH ROW EXECUTE FUNCTION commons.count_lesson();

-- Only what the caller can see, and no draft, can be gone through. A trigger and not a policy: the policy of courses asks this table.
CREATE FUNCTION commons.check_done() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
  SELECT c.state INTO s FROM commons.course c WHERE c.organization_id = NEW.organization_id AND c.id = NEW.course_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'redoubt: no such course' USING ERRCODE = '23503';
  ELSIF s = 'draft' THEN
    RAISE EXCEPTION 'redoubt: a draft is not for members yet' USING ERRCODE = 'RD409';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER check_done BEFORE INSERT OR UPDATE ON commons.lesson_done FOR EACH ROW EXECUTE FUNCTION commons.check_done();

-- Who teaches: administrators. Members see what is published, and of what is archived what they have begun.
CREATE POLICY visible ON commons.course AS RESTRICTIVE FOR SELECT USING (
  state = 'published' OR (SELECT redoubt.has('courses:write'))
  OR state = 'archived' AND EXISTS (
    SELECT FROM commons.lesson_done d WHERE d.organization_id = course.organization_id AND d.course_id = course.id AND d.profile_id = (SELECT redoubt.profile())));
CREATE POLICY teachers_insert ON commons.course AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT redoubt.has('courses:write')) AND author_id = (SELECT redoubt.profile()));
CREATE POLICY teachers_update ON commons.course AS RESTRICTIVE FOR UPDATE USING ((SELECT redoubt.has('courses:write')));
CREATE POLICY teachers_delete ON commons.course AS RESTRICTIVE FOR DELETE USING ((SELECT redoubt.has('courses:write')));

CREATE POLICY visible ON commons.lesson AS RESTRICTIVE FOR SELECT USING (
  (SELECT redoubt.has('courses:write')) OR EXISTS (SELECT FROM commons.course c WHERE c.organization_id = lesson.organization_id AND c.id = lesson.course_id));
CREATE POLICY teachers_insert ON commons.lesson AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT redoubt.has('courses:write')));
CREATE POLICY teachers_update ON commons.lesson AS RESTRICTIVE FOR UPDATE USING ((SELECT redoubt.has('courses:write')));
CREATE POLICY teachers_delete ON commons.lesson AS RESTRICTIVE FOR DELETE USING ((SELECT redoubt.has('courses:write')));

-- The files of a lesson are for who sees the lesson.
CREATE POLICY visible ON commons.lesson_file AS RESTRICTIVE FOR SELECT USING (
  EXISTS (SELECT FROM commons.lesson l WHERE l.organization_id = lesson_file.organization_id AND l.id = lesson_file.lesson_id));
CREATE POLICY teachers_insert ON commons.lesson_file AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT redoubt.has('courses:write')));
CREATE POLICY teachers_delete ON commons.lesson_file AS RESTRICTIVE FOR DELETE USING ((SELECT redoubt.has('courses:write')));
SELECT files.held_by('commons.lesson_file', 'file_id');

CREATE POLICY own ON commons.lesson_done AS RESTRICTIVE FOR ALL USING (profile_id = (SELECT redoubt.profile()));

GRANT SELECT, DELETE, INSERT (title, summary), UPDATE (title, summary, state) ON commons.course TO redoubt_app;
GRANT SELECT, DELETE, INSERT (course_id, position, title, video_url, body, html), UPDATE (position, title, video_url, body, html, edited_at) ON commons.lesson TO redoubt_app;
GRANT SELECT, DELETE, INSERT (lesson_id, file_id, position, inline) ON commons.lesson_file TO redoubt_app;
GRANT SELECT, DELETE, INSERT (course_id, lesson_id) ON commons.lesson_done TO redoubt_app;

SELECT redoubt.allow('member', 'courses:read', 'progress:write');
SELECT redoubt.allow('administrator', 'courses:read', 'courses:write', 'progress:write');
