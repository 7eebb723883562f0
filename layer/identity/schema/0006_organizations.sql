-- Who belongs to an organization, as what, and how somebody new comes in (SYSTEM I1, I4): by an invitation that is bound to an address, or
-- because a group of their provider's is mapped to an organization. Members, roles and invitations are what an organization decides
-- for itself; who its administrators are it does not (SYSTEM I3).
set role redoubt_keys;

-- ---- What an organization is ----

alter table identity.organization
  add column just_in_time boolean not null default false, -- the groups mapped to it make members of people who sign in for the first time
  add column ownership bigint not null default 0; -- counts what took an owner away, so that two such changes cannot both believe that the other owner stays

-- What an organization's own roles may hold, by the application's word. Nothing that only administrators may.
create table redoubt.grantable (
  scope text primary key
);

-- administrative reports whether only the provider's administrators may do scope.
create function redoubt.administrative(scope text) returns boolean
  stable security definer set search_path = pg_catalog, pg_temp language sql as $$
  select coalesce((select scope = any (r.scopes) from redoubt.role r where r.name = 'administrator'), false)
     and not exists (select from redoubt.role r where r.name <> 'administrator' and scope = any (r.scopes))
$$;

-- allow_granting adds scopes that an organization may put into roles of its own. Applications call it from their migrations, after
-- they have said with redoubt.allow what their roles may.
create function redoubt.allow_granting(variadic added text[]) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if exists (select from unnest(added) a where a !~ '^[a-z][a-z-]{0,30}:[a-z][a-z-]{0,30}$') then
    raise exception 'redoubt: a scope reads like posts:write';
  end if;
  if exists (select from unnest(added) a where redoubt.administrative(a)) then
    raise exception 'redoubt: what only administrators may is not an organization''s to give'; -- SYSTEM I3
  end if;
  insert into redoubt.grantable select distinct unnest(added) on conflict do nothing;
end $$;

-- A role of an organization's own adds scopes to what its bearer's role has.
create table identity.organization_role (
  organization_id uuid        not null references identity.organization,
  id              uuid        not null default redoubt.new_id(),
  name            text        not null check (length(name) between 1 and 50 and name = btrim(name) and name !~ '[[:cntrl:]]'
                                and lower(name) not in ('owner', 'admin', 'administrator', 'member', 'guest')),
  scopes          text[]      not null check (cardinality(scopes) <= 100),
  created_at      timestamptz not null default now(),
  primary key (organization_id, id)
);
create unique index on identity.organization_role (organization_id, lower(name));

create function identity.check_role() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if exists (select from unnest(new.scopes) s where s not in (select g.scope from redoubt.grantable g) or redoubt.administrative(s)) then
    raise exception 'redoubt: a role holds what the application lets an organization grant' using errcode = 'RD403';
  end if;
  new.scopes := array(select distinct unnest(new.scopes) order by 1);
  return new;
end $$;
create trigger check_role before insert or update on identity.organization_role for each row execute function identity.check_role();

-- A provider's group that makes its people members. Who maps groups is who provisions: an organization that chose the group itself could
-- draw another's people into its rooms. None makes an owner: whoever runs the provider could otherwise take the last one away.
create table identity.admission (
  organization_id uuid not null references identity.organization,
  issuer          text not null check (length(issuer) between 1 and 500),
  group_name      text not null check (length(group_name) between 1 and 255),
  role            text not null default 'member' check (role in ('admin', 'member', 'guest')),
  primary key (organization_id, issuer, group_name)
);
create index on identity.admission (issuer, group_name);

alter table identity.membership
  add column custom_role uuid,
  add column admitted text check (length(admitted) between 1 and 255), -- the group that it came from; null for one that was given by hand
  add column appointed boolean not null default false, -- somebody here has chosen the role, and no group changes it
  add column lapsed_at timestamptz, -- inactive because its person has left the group, and not because somebody stopped them
  add foreign key (organization_id, custom_role) references identity.organization_role (organization_id, id) on delete set null (custom_role),
  add check (role <> 'owner' or admitted is null),
  add check (lapsed_at is null or not active);
create index on identity.membership (organization_id, custom_role) where custom_role is not null;

-- keep_scopes copies the scopes of the organization's own role, so that redoubt.enter finds them where it looks. Whatever else is
-- written there does not last. The lock waits for a change of the role under way: neither misses the other.
create function identity.keep_scopes() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  new.scopes := '{}';
  if new.custom_role is not null then
    select r.scopes into new.scopes from identity.organization_role r where r.organization_id = new.organization_id and r.id = new.custom_role for share;
    new.scopes := coalesce(new.scopes, '{}'); -- none such: the foreign key refuses it
  end if;
  if new.role = 'owner' then
    new.admitted := null; -- an owner stays one until somebody here says otherwise
  end if;
  return new;
end $$;
create trigger keep_scopes before insert or update on identity.membership for each row execute function identity.keep_scopes();

create function identity.spread_scopes() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  update identity.membership m set custom_role = new.id where m.organization_id = new.organization_id and m.custom_role = new.id;
  return null;
end $$;
create trigger spread_scopes after update on identity.organization_role for each row execute function identity.spread_scopes();

-- Somebody's word ends a lapse: who was stopped is not readmitted by a group. It fires for every statement that sets active, also to
-- what it was.
create function identity.end_lapse() returns trigger set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if new.lapsed_at is not distinct from old.lapsed_at then
    new.lapsed_at := null;
  end if;
  return new;
end $$;
create trigger end_lapse before update of active on identity.membership for each row execute function identity.end_lapse();

-- An organization that has an owner keeps one who is active, whoever changes the row and by whatever function. The update takes a lock on the
-- organization, so that of two who leave at once the second sees that the first is gone; at a stricter isolation it fails instead.
create function identity.keep_owner() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if tg_op = 'UPDATE' and new.role = 'owner' and new.active then
    return null;
  end if;
  update identity.organization o set ownership = o.ownership + 1 where o.id = old.organization_id;
  if not exists (select from identity.membership m where m.organization_id = old.organization_id and m.role = 'owner' and m.active) then
    raise exception 'redoubt: an organization keeps an owner' using errcode = 'RD410';
  end if;
  return null;
end $$;
create trigger keep_owner after update of role, active on identity.membership for each row when (old.role = 'owner' and old.active) execute function identity.keep_owner();
create trigger keep_owner_deleted after delete on identity.membership for each row when (old.role = 'owner' and old.active) execute function identity.keep_owner();

-- ---- Invitations ----

-- The token is in the link alone; here is its SHA-256. The address is lower-case ASCII, as package identity writes it: two that look alike
-- and are not equal cannot both be written.
create table identity.invitation (
  id              uuid        primary key,
  organization_id uuid        not null references identity.organization,
  hash            bytea       not null unique check (length(hash) = 32),
  address         text        not null check (length(address) <= 254 and address ~ '^[a-z0-9.!#$%&''*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+$'),
  role            text        not null check (role in ('admin', 'member', 'guest')),
  custom_role     uuid,
  invited_by      uuid        not null,
  created_at      timestamptz not null default now(),
  sends           integer     not null default 1 check (sends between 1 and 6),
  sent_at         timestamptz not null default now(),
  expires_at      timestamptz not null check (expires_at <= sent_at + interval '7 days'),
  accepted_at     timestamptz check (accepted_at <= expires_at),
  accepted_as     text,       -- the address that the provider had verified
  revoked_at      timestamptz,
  -- What accept_invitation asks in its order, said once more of whatever it writes.
  check (accepted_at is null or accepted_as is not distinct from address),
  check (accepted_at is null or revoked_at is null),
  foreign key (organization_id, custom_role) references identity.organization_role (organization_id, id) on delete set null (custom_role),
  foreign key (organization_id, invited_by) references identity.membership (organization_id, id) on delete cascade
);
create unique index on identity.invitation (organization_id, address) where accepted_at is null and revoked_at is null;
create index on identity.invitation (organization_id, created_at);
create trigger ended_stays before update on identity.invitation for each row -- 0001_identity.sql
  when (old.accepted_at is not null and new.accepted_at is distinct from old.accepted_at or old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at)
  execute function identity.ended_stays();
create index on identity.invitation (organization_id, invited_by);
create index on identity.invitation (organization_id, custom_role) where custom_role is not null;

-- Whoever loses a say over members takes their open invitations along, so that none is left behind as a way back.
create function identity.end_invitations() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  update identity.invitation i set revoked_at = now()
   where i.organization_id = new.organization_id and i.invited_by = new.id and i.accepted_at is null and i.revoked_at is null;
  return null;
end $$;
create trigger end_invitations after update of role, custom_role, active on identity.membership for each row
  when (old.role is distinct from new.role or old.custom_role is distinct from new.custom_role or old.active and not new.active) execute function identity.end_invitations();

do $$
declare t text;
begin
  execute 'alter table redoubt.grantable enable row level security, force row level security';
  execute 'create policy identity_only on redoubt.grantable for all to redoubt_keys using (true) with check (true)';
  foreach t in array array['organization_role', 'admission', 'invitation'] loop
    execute format('alter table identity.%I enable row level security, force row level security', t);
    execute format('create policy identity_only on identity.%I for all to redoubt_keys, redoubt_identity using (true) with check (true)', t);
  end loop;
end $$;

-- ---- What identity does before an organization is known ----

-- believes reports whether an organization takes an issuer's word: on who somebody is, which address is theirs and in which groups they are.
create function identity.believes(org uuid, issuer text) returns boolean
  stable security definer set search_path = pg_catalog, pg_temp language sql as $$
  select not exists (select from identity.organization_issuer x where x.organization_id = org)
      or exists (select from identity.organization_issuer x where x.organization_id = org and x.issuer = believes.issuer)
$$;

-- readmit makes a person's memberships what their groups say at this moment, where a group has anything to say: it admits them to
-- organizations that take their people so, follows a group's role where nobody here has chosen another, and ends the membership of
-- who has left the group. A membership that was given by hand, or that somebody has stopped, it leaves as it is. It answers what it did.
create function identity.readmit(who uuid, said_by text, groups text[])
  returns table (organization_id uuid, profile_id uuid, happened text)
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
#variable_conflict use_column
declare
  c record;
begin
  for c in
    select coalesce(a.organization_id, m.organization_id) as org, a.role as mapped, a.group_name, o.just_in_time and o.active and identity.believes(o.id, said_by) as takes,
           m.id, m.active, m.admitted, m.appointed, m.lapsed_at, m.role
      from (select distinct on (x.organization_id) x.organization_id, x.role, x.group_name from identity.admission x
             where x.issuer = said_by and x.group_name = any (groups)
             order by x.organization_id, array_position(array['admin', 'member', 'guest'], x.role), x.group_name) a
      full join (select * from identity.membership y where y.person_id = who) m on m.organization_id = a.organization_id
      join identity.organization o on o.id = coalesce(a.organization_id, m.organization_id)
     order by 1
  loop
    organization_id := c.org;
    profile_id := c.id;
    happened := null;
    if c.id is null and c.takes then
      insert into identity.membership (organization_id, id, person_id, role, admitted) values (c.org, redoubt.new_id(c.org), who, c.mapped, c.group_name)
        on conflict on constraint membership_organization_id_person_id_key do nothing returning id into profile_id;
      happened := case when profile_id is not null then 'member.admitted' end;
    elsif c.admitted is null then
      null;
    elsif c.mapped is null and c.active then
      update identity.membership m set active = false, lapsed_at = now() where m.organization_id = c.org and m.id = c.id;
      update identity.session s set revoked_at = now() where s.organization_id = c.org and s.profile_id = c.id and s.revoked_at is null;
      happened := 'member.lapsed';
    elsif c.mapped is not null and c.lapsed_at is not null and c.takes then
      update identity.membership m set active = true, lapsed_at = null, admitted = c.group_name, role = case when m.appointed then m.role else c.mapped end
       where m.organization_id = c.org and m.id = c.id;
      happened := 'member.readmitted';
    elsif c.mapped is not null and c.active and not c.appointed and c.role <> c.mapped then
      update identity.membership m set role = c.mapped, admitted = c.group_name where m.organization_id = c.org and m.id = c.id;
      happened := 'member.role_followed';
    end if;
    if happened is not null then
      return next;
    end if;
  end loop;
end $$;

-- show_invitation is what whoever holds the link may see before they sign in: nothing of who is a member, but for who invites.
create function identity.show_invitation(digest bytea)
  returns table (organization text, inviter text, role text, custom_role text, expires_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language sql as $$
  select o.name, p.name, i.role, coalesce(r.name, ''), i.expires_at
    from identity.invitation i
    join identity.organization o on o.id = i.organization_id
    join identity.membership m on m.organization_id = i.organization_id and m.id = i.invited_by
    join identity.person p on p.id = m.person_id
    left join identity.organization_role r on r.organization_id = i.organization_id and r.id = i.custom_role
   where i.hash = digest and i.accepted_at is null and i.revoked_at is null and i.expires_at > now() and o.active and m.active
$$;

-- accept_invitation takes an invitation for a person whom the provider has just vouched for, once. The outcome is 'accepted', 'member' for
-- somebody who is one already and stays what they are, or the reason why not, which is for the trail and not for the person.
create function identity.accept_invitation(digest bytea, who uuid, said_by text, verified text,
    out organization_id uuid, out profile_id uuid, out invitation uuid, out outcome text)
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
#variable_conflict use_column
declare
  i identity.invitation;
  m identity.membership;
begin
  select x.* into i from identity.invitation x where x.hash = digest for update; -- of two who come at once, the second finds it used
  if i.id is null then
    outcome := 'unknown';
    return;
  end if;
  organization_id := i.organization_id;
  invitation := i.id;
  select x.* into m from identity.membership x where x.organization_id = i.organization_id and x.person_id = who for update;
  outcome := case
    when i.accepted_at is not null then 'used'
    when i.revoked_at is not null then 'revoked'
    when i.expires_at <= now() then 'expired'
    when verified = '' or i.address <> verified then 'another_address'
    when not identity.believes(i.organization_id, said_by) then 'another_issuer'
    when not exists (select from identity.membership b join identity.organization o on o.id = b.organization_id
                      where b.organization_id = i.organization_id and b.id = i.invited_by and b.active and o.active) then 'inviter_gone'
    when m.id is null or m.lapsed_at is not null then 'accepted'
    when m.active then 'member'
    else 'stopped' end;
  if outcome not in ('accepted', 'member') then
    return;
  end if;
  update identity.invitation x set accepted_at = now(), accepted_as = verified where x.id = i.id;
  profile_id := m.id;
  if m.id is null then
    insert into identity.membership (organization_id, id, person_id, role, custom_role, appointed) values (i.organization_id, redoubt.new_id(i.organization_id), who, i.role, i.custom_role, true)
      returning id into profile_id;
  elsif outcome = 'accepted' then
    update identity.membership x set active = true, lapsed_at = null, admitted = null, appointed = true, role = i.role, custom_role = i.custom_role
     where x.organization_id = i.organization_id and x.id = m.id;
  end if;
end $$;

-- found_organization makes an organization with the person of a living session as its owner. Whether they may was for their groups to
-- say, which only package identity can read.
create function identity.found_organization(session_hash bytea, name text, out organization_id uuid, out profile_id uuid)
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
#variable_conflict use_column
declare founder uuid;
begin
  select p.id into founder from identity.session s
    join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
    join identity.organization o on o.id = s.organization_id
    join identity.person p on p.id = s.person_id
   where s.hash = session_hash and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.active and o.active
     for no key update of p; -- one at a time, so that the bound holds
  if founder is null then
    raise exception 'redoubt: credential refused' using errcode = '28000';
  end if;
  if (select count(*) from identity.membership m where m.person_id = founder and m.role = 'owner') >= 20 then
    raise exception 'redoubt: twenty organizations of one owner are enough' using errcode = 'RD429';
  end if;
  insert into identity.organization (name) values (found_organization.name) returning id into organization_id;
  insert into identity.membership (organization_id, id, person_id, role, appointed) values (organization_id, redoubt.new_id(organization_id), founder, 'owner', true) returning id into profile_id;
end $$;

grant execute on function identity.readmit(uuid, text, text[]), identity.show_invitation(bytea), identity.accept_invitation(bytea, uuid, text, text),
  identity.found_organization(bytea, text) to redoubt_identity;

-- ---- What the application may ask for its caller ----

-- governs reports whether the caller is an owner, or an administrator by the provider's word: who decides about owners and admins.
create function redoubt.governs() returns boolean
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return coalesce(redoubt.administers(), false)
    or exists (select from identity.membership m where m.organization_id = redoubt.org() and m.id = redoubt.profile() and m.role = 'owner' and m.active);
end $$;

-- outrank refuses a caller who does not govern what concerns an owner or an admin; the provider's own word (kind w) has gates of its
-- own. Functions about one member call it first: it locks the organization before the membership, in the order of keep_owner.
create function redoubt.outrank(member uuid) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if not exists (select from identity.membership m where m.organization_id = redoubt.org() and m.id = member and m.role in ('owner', 'admin')) then
    return;
  end if;
  perform from identity.organization o where o.id = redoubt.org() for no key update;
  if redoubt.credential_kind() <> 'w' and member is distinct from redoubt.profile() and not redoubt.governs() then
    raise exception 'redoubt: owners alone decide about owners and admins' using errcode = 'RD403';
  end if;
end $$;

-- may_give refuses a role, or one of the organization's own, that holds more than the caller has. Who governs gives every role, but
-- puts no scope into one's hands that is not their own.
create function redoubt.may_give(role text, custom uuid) returns void
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if not redoubt.governs() and (role in ('owner', 'admin')
      or exists (select from redoubt.role r, unnest(r.scopes) s where r.name = may_give.role and not redoubt.has(s))) then
    raise exception 'redoubt: nobody gives more than they have' using errcode = 'RD403';
  end if;
  if exists (select from identity.organization_role r, unnest(r.scopes) s where r.organization_id = redoubt.org() and r.id = custom and not redoubt.has(s)) then
    raise exception 'redoubt: nobody gives more than they have' using errcode = 'RD403';
  end if;
  if custom is not null and not exists (select from identity.organization_role r where r.organization_id = redoubt.org() and r.id = custom) then
    raise exception 'redoubt: there is no such role here' using errcode = '23503';
  end if;
end $$;

create function redoubt.organization()
  returns table (name text, just_in_time boolean, created_at timestamptz, role text, custom_role text, members integer, owners integer)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return query
    select o.name, o.just_in_time, o.created_at, m.role, coalesce(r.name, ''),
           (select count(*)::integer from identity.membership x where x.organization_id = o.id and x.active),
           (select count(*)::integer from identity.membership x where x.organization_id = o.id and x.active and x.role = 'owner')
      from identity.membership m join identity.organization o on o.id = m.organization_id
      left join identity.organization_role r on r.organization_id = m.organization_id and r.id = m.custom_role
     where m.organization_id = redoubt.org() and m.id = redoubt.profile();
end $$;

-- set_organization changes the organization's name, and whether mapped groups make members.
create function redoubt.set_organization(name text, just_in_time boolean) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare was identity.organization;
begin
  perform redoubt.require('organization:write');
  select o.* into was from identity.organization o where o.id = redoubt.org() for no key update;
  if was.just_in_time is distinct from set_organization.just_in_time and not redoubt.governs() then
    raise exception 'redoubt: owners alone say who comes in by a group' using errcode = 'RD403';
  end if;
  update identity.organization o set name = set_organization.name, just_in_time = set_organization.just_in_time where o.id = redoubt.org();
  perform audit.append('lifecycle', 'organization.changed', 'organization', redoubt.org()::text,
    jsonb_build_object('name', jsonb_build_array(was.name, set_organization.name), 'just_in_time', jsonb_build_array(was.just_in_time, set_organization.just_in_time)));
end $$;

-- admissions lists the groups that are mapped to the organization, for those who may change its settings.
create function redoubt.admissions() returns table (group_name text, role text)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('organization:write');
  return query select a.group_name, a.role from identity.admission a where a.organization_id = redoubt.org() order by 1 limit 200;
end $$;

drop function redoubt.members();
create function redoubt.members()
  returns table (id uuid, email text, name text, role text, custom_role uuid, custom_name text, admitted text, active boolean, joined_at timestamptz, signed_in_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('members:read');
  return query
    select m.id, p.email, p.name, m.role, m.custom_role, coalesce(r.name, ''), coalesce(m.admitted, ''), m.active, m.created_at, p.signed_in_at
      from identity.membership m join identity.person p on p.id = m.person_id
      left join identity.organization_role r on r.organization_id = m.organization_id and r.id = m.custom_role
     where m.organization_id = redoubt.org();
end $$;

-- appoint gives a member a role, and one of the organization's own or none. Nobody raises themselves; an owner may step down.
create function redoubt.appoint(member uuid, role text, custom uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare was identity.membership;
begin
  perform redoubt.require('roles:write');
  perform from identity.organization o where o.id = redoubt.org() for no key update; -- before the membership: in the order of keep_owner
  select m.* into was from identity.membership m where m.organization_id = redoubt.org() and m.id = member for no key update;
  if was.id is null then
    return false;
  end if;
  if appoint.role is null or appoint.role not in ('owner', 'admin', 'member', 'guest') then
    raise exception 'redoubt: there is no such role' using errcode = '23514';
  end if;
  perform redoubt.outrank(member);
  perform redoubt.may_give(appoint.role, custom);
  if member = redoubt.profile() and was.role <> 'owner' then
    raise exception 'redoubt: nobody appoints themselves' using errcode = 'RD403';
  end if;
  update identity.membership m set role = appoint.role, custom_role = custom, appointed = true where m.organization_id = redoubt.org() and m.id = member;
  perform audit.append('lifecycle', 'member.appointed', 'member', member::text,
    jsonb_build_object('role', jsonb_build_array(was.role, appoint.role), 'custom_role', jsonb_build_array(was.custom_role, custom)));
  return true;
end $$;

-- transfer_ownership makes another active member an owner and the caller, who is one, an admin: in one step, and only by a person.
create function redoubt.transfer_ownership(member uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('roles:write');
  if not redoubt.interactive() or not exists (select from identity.membership m where m.organization_id = redoubt.org() and m.id = redoubt.profile() and m.role = 'owner') then
    raise exception 'redoubt: only an owner hands an organization on' using errcode = 'RD403';
  end if;
  if member = redoubt.profile() then
    raise exception 'redoubt: it is theirs already' using errcode = 'RD409';
  end if;
  perform from identity.organization o where o.id = redoubt.org() for no key update;
  update identity.membership m set role = 'owner', appointed = true where m.organization_id = redoubt.org() and m.id = member and m.active;
  if not found then
    return false;
  end if;
  update identity.membership m set role = 'admin', appointed = true where m.organization_id = redoubt.org() and m.id = redoubt.profile();
  perform audit.append('lifecycle', 'organization.transferred', 'member', member::text);
  return true;
end $$;

-- ---- roles of an organization's own ----

create function redoubt.organization_roles() returns table (id uuid, name text, scopes text[], bearers integer)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if not (redoubt.has('roles:write') or redoubt.has('members:read') or redoubt.has('members:invite')) then
    perform redoubt.require('roles:write');
  end if;
  return query
    select r.id, r.name, r.scopes, (select count(*)::integer from identity.membership m where m.organization_id = r.organization_id and m.custom_role = r.id)
      from identity.organization_role r where r.organization_id = redoubt.org() order by lower(r.name) limit 100;
end $$;

-- save_role makes a role of the organization's own (made), or changes one. It holds nothing that the caller does not have, before and after.
create function redoubt.save_role(role uuid, name text, scopes text[], made boolean) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  was identity.organization_role;
  s text;
begin
  perform redoubt.require('roles:write');
  perform from identity.organization o where o.id = redoubt.org() for no key update;
  select r.* into was from identity.organization_role r where r.organization_id = redoubt.org() and r.id = role for update;
  foreach s in array save_role.scopes || was.scopes loop
    perform redoubt.require(s);
  end loop;
  if not made then
    update identity.organization_role r set name = save_role.name, scopes = save_role.scopes where r.organization_id = redoubt.org() and r.id = role;
    if not found then
      return false;
    end if;
  elsif (select count(*) from identity.organization_role r where r.organization_id = redoubt.org()) >= 50 then
    raise exception 'redoubt: fifty roles are enough' using errcode = 'RD429';
  else
    insert into identity.organization_role (organization_id, id, name, scopes) values (redoubt.org(), role, save_role.name, save_role.scopes);
  end if;
  perform audit.append('lifecycle', case when made then 'role.created' else 'role.changed' end, 'role', role::text,
    jsonb_build_object('name', save_role.name, 'scopes', jsonb_build_array(to_jsonb(was.scopes), to_jsonb(save_role.scopes))));
  return true;
end $$;

-- drop_role takes a role from all who have it.
create function redoubt.drop_role(role uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  was identity.organization_role;
  s text;
begin
  perform redoubt.require('roles:write');
  select r.* into was from identity.organization_role r where r.organization_id = redoubt.org() and r.id = role for update;
  if was.id is null then
    return false;
  end if;
  foreach s in array was.scopes loop
    perform redoubt.require(s);
  end loop;
  delete from identity.organization_role r where r.organization_id = redoubt.org() and r.id = role;
  perform audit.append('lifecycle', 'role.deleted', 'role', role::text, jsonb_build_object('name', was.name));
  return true;
end $$;

-- ---- invitations ----

-- invite writes an invitation down. Its answer is the same whoever the address belongs to: nobody learns by it who is a member. An older
-- one to the same address ends. An organization has up to 100 that are open, and makes up to 50 in an hour.
create function redoubt.invite(id uuid, hash bytea, address text, role text, custom uuid, expires_at timestamptz) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('members:invite');
  perform redoubt.may_give(invite.role, custom);
  perform from identity.organization o where o.id = redoubt.org() for no key update; -- one at a time, so that the bounds hold
  delete from identity.invitation i where i.organization_id = redoubt.org() and coalesce(i.accepted_at, i.revoked_at, i.expires_at) < now() - interval '1 day';
  update identity.invitation i set revoked_at = now()
   where i.organization_id = redoubt.org() and i.address = invite.address and i.accepted_at is null and i.revoked_at is null;
  if (select count(*) from identity.invitation i where i.organization_id = redoubt.org() and i.created_at > now() - interval '1 hour') >= 50
     or (select count(*) from identity.invitation i where i.organization_id = redoubt.org() and i.accepted_at is null and i.revoked_at is null and i.expires_at > now()) >= 100 then
    raise exception 'redoubt: that many invitations are enough' using errcode = 'RD429';
  end if;
  insert into identity.invitation (id, organization_id, hash, address, role, custom_role, invited_by, expires_at)
  values (invite.id, redoubt.org(), invite.hash, invite.address, invite.role, custom, redoubt.profile(), invite.expires_at);
  perform audit.append('lifecycle', 'invitation.created', 'invitation', invite.id::text, jsonb_build_object('role', invite.role, 'custom_role', custom)); -- not to whom: the trail keeps it for ever
end $$;

-- renew_invitation gives an open or expired invitation a new token and a new week, and answers to whom it goes; the old link opens nothing any more.
create function redoubt.renew_invitation(invitation uuid, hash bytea, expires_at timestamptz) returns text
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare i identity.invitation;
begin
  perform redoubt.require('members:invite');
  select x.* into i from identity.invitation x
   where x.id = invitation and x.organization_id = redoubt.org() and x.accepted_at is null and x.revoked_at is null for update;
  if i.id is null then
    return null;
  end if;
  perform redoubt.may_give(i.role, i.custom_role);
  if i.sends >= 6 or i.sent_at > now() - interval '1 minute' then
    raise exception 'redoubt: an invitation is sent six times, a minute apart' using errcode = 'RD429';
  end if;
  update identity.invitation x set hash = renew_invitation.hash, sends = x.sends + 1, sent_at = now(), expires_at = renew_invitation.expires_at, invited_by = redoubt.profile()
   where x.id = invitation;
  perform audit.append('lifecycle', 'invitation.renewed', 'invitation', invitation::text);
  return i.address;
end $$;

create function redoubt.revoke_invitation(invitation uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare i identity.invitation;
begin
  perform redoubt.require('members:invite');
  select x.* into i from identity.invitation x
   where x.id = invitation and x.organization_id = redoubt.org() and x.accepted_at is null and x.revoked_at is null for update;
  if i.id is null then
    return false;
  end if;
  perform redoubt.may_give(i.role, i.custom_role); -- who could not have made it does not end it
  update identity.invitation x set revoked_at = now() where x.id = invitation;
  perform audit.append('lifecycle', 'invitation.revoked', 'invitation', invitation::text);
  return true;
end $$;

-- invitations lists those that nobody has accepted, newest first; also the expired, which can be renewed.
create function redoubt.invitations()
  returns table (id uuid, address text, role text, custom_name text, inviter text, sends integer, sent_at timestamptz, expires_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('members:invite');
  return query
    select i.id, i.address, i.role, coalesce(r.name, ''), p.name, i.sends, i.sent_at, i.expires_at
      from identity.invitation i
      join identity.membership m on m.organization_id = i.organization_id and m.id = i.invited_by
      join identity.person p on p.id = m.person_id
      left join identity.organization_role r on r.organization_id = i.organization_id and r.id = i.custom_role
     where i.organization_id = redoubt.org() and i.accepted_at is null and i.revoked_at is null
     order by i.created_at desc limit 200;
end $$;

grant execute on function redoubt.members(), redoubt.organization(), redoubt.set_organization(text, boolean), redoubt.admissions(), redoubt.appoint(uuid, text, uuid),
  redoubt.transfer_ownership(uuid), redoubt.organization_roles(), redoubt.save_role(uuid, text, text[], boolean), redoubt.drop_role(uuid),
  redoubt.invite(uuid, bytea, text, text, uuid, timestamptz), redoubt.renew_invitation(uuid, bytea, timestamptz), redoubt.revoke_invitation(uuid),
  redoubt.invitations() to redoubt_app;
grant execute on function redoubt.allow_granting(text[]) to redoubt_owner;
reset role;
