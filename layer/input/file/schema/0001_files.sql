-- Files (SYSTEM N2): what they are called, who brought them, and where their bytes lie. Nobody but the functions below writes here: they
-- know what a caller may do with a file, and that each object of the store has a row before its first byte, and until after its last.
--
-- file     what a member has uploaded, under the name that they gave it; held by the rows of applications that refer to it
-- content  what came out of it, once for each organization, however often it was uploaded there
-- object   one stored object of a content: each size of a picture, or a document as it came
CREATE SCHEMA files;

CREATE TABLE files.content (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  digest          bytea       NOT NULL CHECK (length(digest) = 32), -- of the bytes that were uploaded, and of what was made of them
  kind            text        NOT NULL CHECK (kind ~ '^[a-z0-9]{2,8}$'),
  state           text        NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'kept', 'condemned')),
  since           timestamptz NOT NULL DEFAULT now(), -- this state
  PRIMARY KEY (organization_id, id)
);
-- Within the organization: no other can tell from it what this one has.
CREATE UNIQUE INDEX content_once ON files.content (organization_id, digest) WHERE state = 'kept';
CREATE INDEX content_unsettled ON files.content (organization_id, since) WHERE state <> 'kept';

CREATE TABLE files.object (
  organization_id uuid   NOT NULL,
  content_id      uuid   NOT NULL,
  variant         text   NOT NULL CHECK (variant ~ '^[a-z0-9]{0,20}$'),
  name            text   NOT NULL CHECK (name ~ '^[a-z2-7]{26}[.][a-z0-9]{1,8}$'), -- in the store
  media_type      text   NOT NULL CHECK (length(media_type) BETWEEN 3 AND 100),
  size            bigint NOT NULL CHECK (size BETWEEN 1 AND 1073741824),
  width           int    CHECK (width BETWEEN 1 AND 65535),
  height          int    CHECK (height BETWEEN 1 AND 65535),
  PRIMARY KEY (organization_id, content_id, variant),
  UNIQUE (organization_id, name),
  CHECK ((width IS NULL) = (height IS NULL)), -- a picture has both
  FOREIGN KEY (organization_id, content_id) REFERENCES files.content (organization_id, id) ON DELETE CASCADE
);

CREATE TABLE files.file (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  content_id      uuid        NOT NULL,
  owner_id        uuid        DEFAULT redoubt.profile(), -- who uploaded it; nobody once they are deleted (SYSTEM I8), or for a machine
  name            text        NOT NULL CHECK (length(name) <= 120),
  held            int         NOT NULL DEFAULT 0 CHECK (held >= 0), -- by how many rows of applications
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, content_id) REFERENCES files.content (organization_id, id),
  FOREIGN KEY (organization_id, owner_id) REFERENCES identity.membership (organization_id, id) ON DELETE SET NULL (owner_id)
);
CREATE INDEX ON files.file (organization_id, content_id);
CREATE INDEX ON files.file (organization_id, owner_id);
CREATE INDEX file_unheld ON files.file (organization_id, created_at) WHERE held = 0;

-- People name their files after themselves, and others.
SELECT guard.personal('files.file', 'name');

-- A file is seen by who sees a row that holds it, and before that by who brought it: held_by below writes the rows' tables into this. The
-- functions here are the owner's, and see all of the organization.
CREATE POLICY seen ON files.file AS RESTRICTIVE FOR SELECT TO redoubt_app USING (held = 0 AND owner_id IS NOT DISTINCT FROM (SELECT redoubt.profile()));

GRANT USAGE ON SCHEMA files TO redoubt_app;
GRANT SELECT ON files.file, files.content, files.object TO redoubt_app;

-- ---- Who holds a file ----

-- sees refuses a row that would hold a file which its writer does not see: it runs as the writer. Its argument is the column.
CREATE FUNCTION files.sees() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted uuid := (to_jsonb(new) ->> tg_argv[0])::uuid;
BEGIN
  IF wanted IS NOT NULL AND (tg_op = 'INSERT' OR wanted IS DISTINCT FROM (to_jsonb(old) ->> tg_argv[0])::uuid)
     AND NOT EXISTS (SELECT FROM files.file WHERE id = wanted) THEN
    RAISE EXCEPTION 'redoubt: the caller has no such file' USING errcode = '23503';
  END IF;
  RETURN new;
END $$;

-- counted keeps held for the table that it is a trigger of.
CREATE FUNCTION files.counted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was uuid := CASE WHEN tg_op <> 'INSERT' THEN (to_jsonb(old) ->> tg_argv[0])::uuid END;
  now_is uuid := CASE WHEN tg_op <> 'DELETE' THEN (to_jsonb(new) ->> tg_argv[0])::uuid END;
BEGIN
  IF was IS DISTINCT FROM now_is THEN
    UPDATE files.file SET held = held + 1 WHERE id = now_is;
    UPDATE files.file SET held = held - 1 WHERE id = was;
  END IF;
  RETURN NULL;
END $$;

-- held_by says that the rows of t hold the file that col names: who sees such a row sees the file, and when the last is gone, so is the
-- file. Applications call it from their migrations, beside the foreign key. A policy of t must not ask for files in turn.
CREATE FUNCTION files.held_by(t regclass, col name) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE holders text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
                  WHERE k.conrelid = t AND k.contype = 'f' AND k.confrelid = 'files.file'::regclass AND a.attname = col) THEN
    RAISE EXCEPTION 'redoubt: % has no foreign key from % to files.file', t, col USING errcode = '42830';
  END IF;
  EXECUTE format('CREATE TRIGGER sees_file_%s BEFORE INSERT OR UPDATE OF %I ON %s FOR EACH ROW EXECUTE FUNCTION files.sees(%L)', col, col, t, col);
  EXECUTE format('CREATE TRIGGER holds_file_%s AFTER INSERT OR DELETE OR UPDATE OF %I ON %s FOR EACH ROW EXECUTE FUNCTION files.counted(%L)', col, col, t, col);
  SELECT string_agg(format(' OR EXISTS (SELECT FROM %s h WHERE h.organization_id = file.organization_id AND h.%I = file.id)',
           g.tgrelid::regclass, replace(encode(g.tgargs, 'escape'), '\000', '')), '') INTO holders
    FROM pg_trigger g WHERE g.tgfoid = 'files.counted()'::regprocedure AND NOT g.tgisinternal;
  EXECUTE 'ALTER POLICY seen ON files.file USING (held = 0 AND owner_id IS NOT DISTINCT FROM (SELECT redoubt.profile())' || holders || ')';
END $$;

-- A file that was held and is not any more goes when the transaction commits: rows may be exchanged within one.
CREATE FUNCTION files.released() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM files.file WHERE id = new.id AND held = 0;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER released AFTER UPDATE OF held ON files.file DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (old.held > 0 AND new.held = 0) EXECUTE FUNCTION files.released();

-- Content that no file has is condemned, for good. Whoever would use it once more locks it first, too.
CREATE FUNCTION files.condemned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM files.content WHERE id = old.content_id FOR UPDATE;
  UPDATE files.content SET state = 'condemned', since = now()
   WHERE id = old.content_id AND NOT EXISTS (SELECT FROM files.file WHERE content_id = old.content_id);
  RETURN NULL;
END $$;
CREATE TRIGGER condemned AFTER DELETE ON files.file FOR EACH ROW EXECUTE FUNCTION files.condemned();

-- ---- What a caller may do: each asks for the scope itself, whoever has asked before ----

CREATE FUNCTION files.must(scope text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT redoubt.has(scope) THEN
    RAISE EXCEPTION 'redoubt: the caller may not do this' USING errcode = 'RD403';
  END IF;
END $$;

-- room refuses a caller who leaves behind more than a person can use: uploads that nothing holds are bounded.
CREATE FUNCTION files.room() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (SELECT count(*) FROM files.file WHERE held = 0 AND owner_id IS NOT DISTINCT FROM redoubt.profile() AND created_at > now() - interval '1 day') >= 100 THEN
    RAISE EXCEPTION 'redoubt: too many uploads that nothing refers to' USING errcode = 'RD429';
  END IF;
END $$;

-- again gives the caller a file of content that the organization has already; null if it has not.
CREATE FUNCTION files.again(wanted bytea, called text) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  had uuid;
  made uuid;
BEGIN
  PERFORM files.must('files:write');
  PERFORM files.room();
  SELECT c.id INTO had FROM files.content c WHERE c.digest = wanted AND c.state = 'kept' FOR UPDATE;
  IF had IS NOT NULL THEN
    INSERT INTO files.file (content_id, name) VALUES (had, called) RETURNING id INTO made;
  END IF;
  RETURN made;
END $$;

-- intend notes what is about to be written to the store, before a byte of it is.
CREATE FUNCTION files.intend(its bytea, what text, objects jsonb) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE made uuid;
BEGIN
  PERFORM files.must('files:write');
  IF jsonb_array_length(objects) NOT BETWEEN 1 AND 10 THEN
    RAISE EXCEPTION 'redoubt: a file is kept as one to ten objects' USING errcode = '23514';
  END IF;
  INSERT INTO files.content (digest, kind) VALUES (its, what) RETURNING id INTO made;
  INSERT INTO files.object (content_id, variant, name, media_type, size, width, height)
    SELECT made, o.variant, o.name, o.media_type, o.size, nullif(o.width, 0), nullif(o.height, 0)
      FROM jsonb_to_recordset(objects) AS o(variant text, name text, media_type text, size bigint, width int, height int);
  RETURN made;
END $$;

-- keep says that all of it is written, and gives the caller a file. If another upload of the same was faster, its content is used, and
-- this one's is condemned.
CREATE FUNCTION files.keep(written uuid, called text) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  its bytea;
  made uuid;
BEGIN
  SELECT c.digest INTO its FROM files.content c WHERE c.id = written AND c.state = 'writing' FOR UPDATE;
  IF its IS NULL THEN
    RAISE EXCEPTION 'redoubt: nothing of this is being written' USING errcode = '23503';
  END IF;
  made := files.again(its, called); -- asks for the scope
  IF made IS NOT NULL THEN
    UPDATE files.content SET state = 'condemned', since = now() WHERE id = written;
    RETURN made;
  END IF;
  UPDATE files.content SET state = 'kept', since = now() WHERE id = written;
  INSERT INTO files.file (content_id, name) VALUES (written, called) RETURNING id INTO made;
  RETURN made;
END $$;

-- abandon condemns what could not be written whole.
CREATE FUNCTION files.abandon(written uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM files.must('files:write');
  UPDATE files.content SET state = 'condemned', since = now() WHERE id = written AND state = 'writing';
END $$;

-- discard takes back an upload of the caller's that nothing holds.
CREATE FUNCTION files.discard(unwanted uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM files.must('files:write');
  DELETE FROM files.file WHERE id = unwanted AND held = 0 AND owner_id IS NOT DISTINCT FROM redoubt.profile();
  RETURN FOUND;
END $$;

-- overdue is what the store has to forget, at most so much of it: uploads that nothing held for a day, what was not written within an hour,
-- and what is condemned. It returns names that nobody can ask for any more. Whoever may read files may do this housework.
CREATE FUNCTION files.overdue(most int) RETURNS TABLE (content uuid, names text[]) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM files.must('files:read');
  DELETE FROM files.file f WHERE f.id IN (SELECT u.id FROM files.file u WHERE u.held = 0 AND u.created_at < now() - interval '1 day' ORDER BY u.created_at LIMIT most);
  UPDATE files.content c SET state = 'condemned', since = now() WHERE c.state = 'writing' AND c.since < now() - interval '1 hour';
  RETURN QUERY
    SELECT c.id, array(SELECT o.name FROM files.object o WHERE o.content_id = c.id)
      FROM files.content c WHERE c.state = 'condemned' ORDER BY c.since LIMIT most;
END $$;

-- forgotten says that the store has none of these any more.
CREATE FUNCTION files.forgotten(contents uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM files.must('files:read');
  DELETE FROM files.content WHERE state = 'condemned' AND id = ANY (contents);
END $$;

GRANT EXECUTE ON FUNCTION files.again(bytea, text), files.intend(bytea, text, jsonb), files.keep(uuid, text), files.abandon(uuid), files.discard(uuid),
  files.overdue(int), files.forgotten(uuid[]) TO redoubt_app;
