-- A bookmark is of exactly one thing (SYSTEM D4). It is its owner's alone, and goes with them (SYSTEM I8).
CREATE TABLE commons.bookmark (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  profile_id      uuid        NOT NULL DEFAULT redoubt.profile(),
  post_id         uuid,
  course_id       uuid,
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id),
  CHECK (num_nonnulls(post_id, course_id) = 1),
  FOREIGN KEY (organization_id, profile_id) REFERENCES commons.profile (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, post_id) REFERENCES commons.post (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, course_id) REFERENCES commons.course (organization_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX bookmark_once_post ON commons.bookmark (organization_id, post_id, profile_id) WHERE post_id IS NOT NULL;
CREATE UNIQUE INDEX bookmark_once_course ON commons.bookmark (organization_id, course_id, profile_id) WHERE course_id IS NOT NULL;
CREATE INDEX ON commons.bookmark (organization_id, profile_id, created_at DESC, id DESC);

-- The trail says that something was marked, and not what.
SELECT guard.personal('commons.bookmark', 'post_id', 'course_id');

-- Only what the caller can see, and no draft, can be marked: else a bookmark would tell that a thing is there. A foreign key alone
-- sees more than the caller does.
CREATE FUNCTION commons.check_bookmark() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
  IF NEW.post_id IS NOT NULL THEN
    PERFORM FROM commons.post p WHERE p.organization_id = NEW.organization_id AND p.id = NEW.post_id;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'redoubt: no such post' USING ERRCODE = '23503';
    END IF;
  END IF;
  IF NEW.course_id IS NOT NULL THEN
    SELECT c.state INTO s FROM commons.course c WHERE c.organization_id = NEW.organization_id AND c.id = NEW.course_id;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'redoubt: no such course' USING ERRCODE = '23503';
    ELSIF s = 'draft' THEN
      RAISE EXCEPTION 'redoubt: a draft is not for members yet' USING ERRCODE = 'RD409';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER check_bookmark BEFORE INSERT OR UPDATE ON commons.bookmark FOR EACH ROW EXECUTE FUNCTION commons.check_bookmark();

CREATE POLICY own ON commons.bookmark AS RESTRICTIVE FOR ALL USING (profile_id = (SELECT redoubt.profile()));

GRANT SELECT, DELETE, INSERT (post_id, course_id) ON commons.bookmark TO redoubt_app;

SELECT redoubt.allow('member', 'bookmarks:read', 'bookmarks:write');
SELECT redoubt.allow('administrator', 'bookmarks:read', 'bookmarks:write');
