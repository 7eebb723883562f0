-- A profile is what members of one organization know of each other (SYSTEM I2). The provider's name and e-mail are not here.
CREATE SCHEMA commons;

CREATE TABLE commons.profile (
  organization_id  uuid        NOT NULL,
  id               uuid        NOT NULL,
  display_name     text        NOT NULL CHECK (length(display_name) BETWEEN 1 AND 50 AND display_name = btrim(display_name)),
  display_name_key text        NOT NULL GENERATED ALWAYS AS (lower(display_name COLLATE "und-x-icu")) STORED,
  bio              text        NOT NULL DEFAULT '' CHECK (length(bio) <= 500),
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id),
  UNIQUE (organization_id, display_name_key), -- nobody is mistaken for somebody else by capital letters
  FOREIGN KEY (organization_id, id) REFERENCES identity.membership (organization_id, id)
);

-- Everybody reads; each writes their own.
CREATE POLICY own_insert ON commons.profile AS RESTRICTIVE FOR INSERT WITH CHECK (id = (SELECT redoubt.profile()));
CREATE POLICY own_update ON commons.profile AS RESTRICTIVE FOR UPDATE USING (id = (SELECT redoubt.profile()));

GRANT USAGE ON SCHEMA commons TO redoubt_app;
GRANT SELECT, INSERT, UPDATE (display_name, bio) ON commons.profile TO redoubt_app;

SELECT redoubt.allow('member', 'profile:read', 'profile:write', 'sessions:write', 'keys:write');
SELECT redoubt.allow('administrator', 'profile:read', 'profile:write', 'sessions:write', 'keys:write',
  'members:read', 'members:write', 'audit:read');
