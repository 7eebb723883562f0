-- A profile is what members of one organization know of each other (SYSTEM I2). The provider's name and e-mail are not here.
--
-- It hangs on its membership, and what a person does here hangs on their profile. When redoubt.erase_member deletes the membership
-- (SYSTEM I8), each foreign key says what follows, in that one statement: what is theirs alone goes (ON DELETE CASCADE), what they
-- wrote or bought stays without their id and under "[Deleted User]" (ON DELETE SET NULL, and a generated name). A table that
-- says neither stops the deletion, so none is forgotten. Foreign keys act as the owner of their table and past its policies, so that
-- no policy has to let anybody through for this.
CREATE SCHEMA commons;

-- seen is what people see of a name: without what takes no room, without what only turns or joins letters, and with look-alikes of one letter
-- brought together (Unicode's NFKC). Two names that are seen alike are one.
CREATE FUNCTION commons.seen(name text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT pg_catalog.btrim(pg_catalog.lower(pg_catalog.normalize(pg_catalog.regexp_replace(name,
    '[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u2800\u3164\uFE00-\uFE0F\uFEFF\uFFA0\U000E0000-\U000E0FFF]', '', 'g'), 'NFKC') COLLATE "und-x-icu"))
$$;
GRANT EXECUTE ON FUNCTION commons.seen(text) TO redoubt_app;

CREATE TABLE commons.profile (
  organization_id  uuid        NOT NULL,
  id               uuid        NOT NULL,
  display_name     text        NOT NULL CHECK (length(display_name) BETWEEN 1 AND 50 AND display_name = btrim(display_name)),
  display_name_key text        NOT NULL GENERATED ALWAYS AS (commons.seen(display_name)) STORED CHECK (display_name_key NOT IN ('', '[deleted user]')),
  bio              text        NOT NULL DEFAULT '' CHECK (length(bio) <= 500),
  avatar_id        uuid,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id),
  UNIQUE (organization_id, display_name_key), -- nobody is mistaken for somebody else by capital or invisible letters
  FOREIGN KEY (organization_id, id) REFERENCES identity.membership (organization_id, id) ON DELETE CASCADE,
  FOREIGN KEY (organization_id, avatar_id) REFERENCES files.file (organization_id, id)
);
CREATE INDEX ON commons.profile (organization_id, avatar_id);
SELECT files.held_by('commons.profile', 'avatar_id');

-- The audit trail keeps for ever what it records, so it records of these only that they changed.
SELECT guard.personal('commons.profile', 'display_name', 'display_name_key', 'bio');

-- Everybody reads; each writes their own.
CREATE POLICY own_insert ON commons.profile AS RESTRICTIVE FOR INSERT WITH CHECK (id = (SELECT redoubt.profile()));
CREATE POLICY own_update ON commons.profile AS RESTRICTIVE FOR UPDATE USING (id = (SELECT redoubt.profile()));

GRANT USAGE ON SCHEMA commons TO redoubt_app;
GRANT SELECT, INSERT, UPDATE (display_name, bio, avatar_id) ON commons.profile TO redoubt_app;

SELECT redoubt.allow('member', 'profile:read', 'profile:write', 'files:read', 'files:write', 'sessions:write', 'keys:write');
SELECT redoubt.allow('administrator', 'profile:read', 'profile:write', 'files:read', 'files:write', 'sessions:write', 'keys:write',
  'members:read', 'members:write', 'members:erase', 'audit:read', 'machines:write', 'endpoints:write', 'scim:manage');
