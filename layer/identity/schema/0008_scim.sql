-- Provisioning by the identity provider (SYSTEM I1, I2, I7, I8; RFC 7643, RFC 7644): the users and groups of an organization as its provider
-- keeps them, through an endpoint that has the scope scim:manage. A user is a membership, or one to come: who is not there yet is
-- admitted at their first sign-in at the organization's own provider, by the subject, or a verified address, that it gave here. Which
-- providers are an organization's own, whoever provisions has said (identity.organization_issuer): an organization that chose one itself
-- could draw another's people into its rooms, so one without announces nobody here, and only changes the users it has.
-- No administrator comes from here (SYSTEM I3): a group named like a role, or like one of the organization's own, gives that
-- role, and administrator is none.
--
-- What the provider says of a user's name and addresses stays in its own organization's rows. The person behind a membership is the same in
-- every organization, and only their own sign-in says anew what they are called.
set role redoubt_keys;

-- Of which of its organization's providers an endpoint speaks, where it has several.
create table identity.scim_endpoint (
  endpoint_id uuid primary key references identity.endpoint,
  issuer      text not null check (length(issuer) between 1 and 500)
);

create table identity.scim_user (
  organization_id uuid        not null references identity.organization,
  id              uuid        not null default redoubt.new_id(),
  profile_id      uuid, -- the membership; null until the first sign-in
  issuer          text        not null check (length(issuer) between 1 and 500),
  user_name       text        not null check (length(user_name) between 1 and 320),
  external_id     text        check (length(external_id) between 1 and 255),
  active          boolean     not null default true, -- of one who has not signed in; afterwards the membership's own counts
  display_name    text        not null default '' check (length(display_name) <= 200),
  given_name      text        not null default '' check (length(given_name) <= 200),
  family_name     text        not null default '' check (length(family_name) <= 200),
  formatted_name  text        not null default '' check (length(formatted_name) <= 200),
  emails          jsonb       not null default '[]' check (jsonb_typeof(emails) = 'array' and octet_length(emails::text) <= 8192),
  created_at      timestamptz not null default clock_timestamp(),
  changed_at      timestamptz not null default clock_timestamp(),
  primary key (organization_id, id),
  unique (organization_id, profile_id),
  unique (organization_id, external_id),
  foreign key (organization_id, profile_id) references identity.membership (organization_id, id) on delete cascade
);
create unique index on identity.scim_user (organization_id, lower(user_name));
create index on identity.scim_user (organization_id, created_at, id);
create index on identity.membership (organization_id, created_at, id);
create index on identity.scim_user (issuer, external_id) where profile_id is null;
create index on identity.scim_user (issuer, lower(user_name)) where profile_id is null;

create table identity.scim_group (
  organization_id uuid        not null references identity.organization,
  id              uuid        not null default redoubt.new_id(),
  display_name    text        not null check (length(display_name) between 1 and 255),
  external_id     text        check (length(external_id) between 1 and 255),
  created_at      timestamptz not null default clock_timestamp(),
  changed_at      timestamptz not null default clock_timestamp(),
  primary key (organization_id, id)
);
create unique index on identity.scim_group (organization_id, lower(display_name));

create table identity.scim_member (
  organization_id uuid not null,
  group_id        uuid not null,
  user_id         uuid not null,
  primary key (organization_id, group_id, user_id),
  foreign key (organization_id, group_id) references identity.scim_group (organization_id, id) on delete cascade,
  foreign key (organization_id, user_id) references identity.scim_user (organization_id, id) on delete cascade
);
create index on identity.scim_member (organization_id, user_id);

-- Whose turn it is: one change of an organization's users and groups at a time.
create table identity.scim_turn (
  organization_id uuid primary key references identity.organization
);

do $$
declare t text;
begin
  foreach t in array array['scim_endpoint', 'scim_user', 'scim_group', 'scim_member', 'scim_turn'] loop
    execute format('alter table identity.%I enable row level security, force row level security', t);
    execute format('create policy identity_only on identity.%I for all to redoubt_keys, redoubt_identity using (true) with check (true)', t);
  end loop;
end $$;

-- ---- What only the functions here call ----

-- scim_people is everybody whom an organization's provider may see: its own users, and the members who came another way, under their
-- address and the id of their membership. A member becomes a user at the first change. They are those that fit each of the three, if it
-- is given, come after that time and id, and are among the first so many of their kind. The planner puts it in its callers' place, and
-- these ask for a plan of their own each time, so that what is looked up is found by an index.
create function identity.scim_people(org uuid, one uuid, named text, external text, after_at timestamptz, after_id uuid, most bigint)
  returns table (id uuid, profile_id uuid, user_name text, external_id text, active boolean, display_name text, given_name text, family_name text,
    formatted_name text, emails jsonb, created_at timestamptz, changed_at timestamptz)
  stable language sql as $$
    (select u.id, u.profile_id, u.user_name, u.external_id, coalesce(m.active, u.active), u.display_name, u.given_name, u.family_name,
            u.formatted_name, u.emails, u.created_at, u.changed_at
       from identity.scim_user u
       left join identity.membership m on m.organization_id = u.organization_id and m.id = u.profile_id
      where u.organization_id = org and (one is null or u.id = one) and (named is null or lower(u.user_name) = lower(named)) and (external is null or u.external_id = external)
        and (u.created_at, u.id) > (coalesce(after_at, '-infinity'), coalesce(after_id, '00000000-0000-0000-0000-000000000000'))
      order by u.created_at, u.id limit most)
    union all
    (select m.id, m.id, coalesce(nullif(p.email, ''), m.id::text), null, m.active, p.name, '', '', '',
            case when p.email = '' then '[]' else jsonb_build_array(jsonb_build_object('value', p.email, 'primary', true)) end, m.created_at, m.created_at
       from identity.membership m
       join identity.person p on p.id = m.person_id
      where m.organization_id = org and (one is null or m.id = one) and (named is null or lower(coalesce(nullif(p.email, ''), m.id::text)) = lower(named)) and external is null
        and (m.created_at, m.id) > (coalesce(after_at, '-infinity'), coalesce(after_id, '00000000-0000-0000-0000-000000000000'))
        and not exists (select from identity.scim_user u where u.organization_id = m.organization_id and u.profile_id = m.id)
      order by m.created_at, m.id limit most)
$$;

-- scim_enter is the first line of every change. It waits for its turn.
create function identity.scim_enter() returns uuid
  volatile set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  insert into identity.scim_turn (organization_id) values (redoubt.org()) on conflict do nothing;
  perform from identity.scim_turn t where t.organization_id = redoubt.org() for update;
  return redoubt.org();
end $$;

-- scim_issuer is the one whose people the endpoint announces: of several of the organization's, that which was chosen for it.
create function identity.scim_issuer(org uuid) returns text
  stable set search_path = pg_catalog, pg_temp language sql as $$
    select min(b.issuer) from identity.organization_issuer b
     where b.organization_id = org
       and b.issuer = coalesce((select e.issuer from identity.scim_endpoint e where e.endpoint_id = redoubt.credential_id()), b.issuer)
    having count(*) = 1
$$;

-- scim_adopt makes a user of a member who came another way. It does nothing for who is one, and for nobody.
create function identity.scim_adopt(org uuid, users uuid[]) returns void
  volatile set search_path = pg_catalog, pg_temp language sql as $$
    insert into identity.scim_user (organization_id, id, profile_id, issuer, user_name, active, display_name, emails, created_at, changed_at)
    select org, m.id, m.id, p.issuer,
           case when p.email = '' or count(*) over (partition by lower(p.email)) > 1
                  or exists (select from identity.scim_user u where u.organization_id = org and lower(u.user_name) = lower(p.email)) then m.id::text else p.email end,
           m.active, p.name, case when p.email = '' then '[]' else jsonb_build_array(jsonb_build_object('value', p.email, 'primary', true)) end, m.created_at, m.created_at
      from identity.membership m join identity.person p on p.id = m.person_id
     where m.organization_id = org and m.id = any (users)
       and not exists (select from identity.scim_user u where u.organization_id = org and (u.profile_id = m.id or u.id = m.id))
$$;

-- scim_role is what a user's groups give: the highest of the roles that they are named like, member's for none; and the first of the
-- organization's own roles that one is named like, or null.
create function identity.scim_role(org uuid, who uuid, out role text, out custom_role uuid)
  stable set search_path = pg_catalog, pg_temp language sql as $$
    with g as (select lower(g.display_name) as name from identity.scim_member x
                 join identity.scim_group g on g.organization_id = x.organization_id and g.id = x.group_id
                where x.organization_id = org and x.user_id = who)
    select coalesce((select g.name from g where g.name in ('owner', 'admin', 'member', 'guest')
                      order by array_position(array['owner', 'admin', 'member', 'guest'], g.name) limit 1), 'member'),
           (select r.id from g join identity.organization_role r on r.organization_id = org and lower(r.name) = g.name order by lower(r.name) limit 1)
$$;

-- scim_gives reports whether a group of that name gives anything.
create function identity.scim_gives(org uuid, named text) returns boolean
  stable set search_path = pg_catalog, pg_temp language sql as $$
    select lower(named) in ('owner', 'admin', 'member', 'guest')
        or exists (select from identity.organization_role r where r.organization_id = org and lower(r.name) = lower(named))
$$;

-- scim_give_roles gives users what their groups give, after these have changed, unless somebody here has chosen their role by hand. First
-- come those who become owners, so that a group whose people are all replaced has one at every moment.
create function identity.scim_give_roles(org uuid, users uuid[]) returns void
  volatile set search_path = pg_catalog, pg_temp language plpgsql as $$
declare r record;
begin
  perform from identity.organization o where o.id = org for no key update; -- before the memberships: in the order of keep_owner
  for r in select m.id, m.role, m.custom_role, b.role as becomes, b.custom_role as becomes_custom
             from identity.scim_user u
             join identity.membership m on m.organization_id = u.organization_id and m.id = u.profile_id
             cross join lateral identity.scim_role(org, u.id) b
            where u.organization_id = org and u.id = any (users) and not m.appointed
              and (m.role, m.custom_role) is distinct from (b.role, b.custom_role)
            order by b.role = 'owner' desc, m.id loop
    update identity.membership m set role = r.becomes, custom_role = r.becomes_custom, admitted = null where m.organization_id = org and m.id = r.id;
    perform audit.append('lifecycle', 'scim.role_given', 'member', r.id::text,
      jsonb_build_object('role', jsonb_build_array(r.role, r.becomes), 'custom_role', jsonb_build_array(r.custom_role, r.becomes_custom)));
  end loop;
end $$;

-- scim_set_active lets a member in or stops them, with everything that set_member_active ends.
create function identity.scim_set_active(org uuid, member uuid, becomes boolean) returns void
  volatile set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if exists (select from identity.membership m where m.organization_id = org and m.id = member and m.active = becomes) then
    return;
  end if;
  perform redoubt.set_member_active(member, becomes);
end $$;

-- ---- What an endpoint may ask for its organization ----

-- scim_users reads users in the order in which they were made, at most 1000: those that fit each of the first three, if it is given, and
-- come after the one with that time and id.
create function redoubt.scim_users(one uuid, named text, external text, after_at timestamptz, after_id uuid, skip integer, most integer)
  returns table (id uuid, user_name text, external_id text, active boolean, display_name text, given_name text, family_name text,
    formatted_name text, emails jsonb, created_at timestamptz, changed_at timestamptz, groups jsonb)
  stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  return query
    select p.id, p.user_name, p.external_id, p.active, p.display_name, p.given_name, p.family_name, p.formatted_name, p.emails, p.created_at, p.changed_at,
           (select coalesce(jsonb_agg(jsonb_build_object('value', g.id, 'display', g.display_name) order by g.created_at, g.id), '[]')
              from identity.scim_member x join identity.scim_group g on g.organization_id = x.organization_id and g.id = x.group_id
             where x.organization_id = redoubt.org() and x.user_id = p.id)
      from (select * from identity.scim_people(redoubt.org(), one, named, external, after_at, after_id, (greatest(skip, 0) + least(most, 1000))::bigint) q
             order by q.created_at, q.id offset greatest(skip, 0) limit least(most, 1000)) p
     order by p.created_at, p.id;
end $$;

create function redoubt.scim_count_users(one uuid, named text, external text) returns bigint
  stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  return (select count(*) from identity.scim_people(redoubt.org(), one, named, external, null, null, null));
end $$;

-- scim_hold_user keeps everybody else from changing the organization's users until the transaction ends, and makes a user of a member.
-- It answers false if there is no such user.
create function redoubt.scim_hold_user(one uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare org uuid := identity.scim_enter();
begin
  perform identity.scim_adopt(org, array[one]);
  return exists (select from identity.scim_user u where u.organization_id = org and u.id = one);
end $$;

-- scim_put_user makes a user, for no id, or says anew all that is known of one. It answers with their id, and with whether the name or the
-- external id was another's: then nothing has changed.
create function redoubt.scim_put_user(one uuid, named text, external text, enabled boolean, display text, given text, family text, formatted text, addresses jsonb)
  returns table (id uuid, taken boolean)
  volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan language plpgsql as $$
declare
  org uuid := identity.scim_enter();
  speaks_of text := identity.scim_issuer(org);
  mine uuid; -- the membership of whoever signs in by that subject
  was identity.scim_user;
begin
  select u.* into was from identity.scim_user u where u.organization_id = org and u.id = one;
  if one is not null and was.id is null then
    return query select null::uuid, false;
    return;
  end if;
  if one is null and speaks_of is null then
    raise exception 'redoubt: the organization has no provider of its own, or several and none chosen for the endpoint' using errcode = 'RD409';
  end if;
  mine := coalesce(was.profile_id, (select m.id from identity.person p join identity.membership m on m.person_id = p.id
    where p.issuer = coalesce(was.issuer, speaks_of) and p.subject = external and m.organization_id = org
      and not exists (select from identity.scim_user u where u.organization_id = org and u.profile_id = m.id)));
  if exists (select from (select * from identity.scim_people(org, null, named, null, null, null, 2)
                          union all select * from identity.scim_people(org, null, null, external, null, null, 2) where external is not null) q
              where q.id is distinct from one and not (mine is not null and q.profile_id is not distinct from mine)) then
    return query select null::uuid, true;
    return;
  end if;
  if one is null then
    if (select count(*) from identity.scim_user u where u.organization_id = org) >= 100000 then
      raise exception 'redoubt: a hundred thousand users are enough' using errcode = 'RD409';
    end if;
    insert into identity.scim_user (organization_id, profile_id, issuer, user_name, external_id, active, display_name, given_name, family_name, formatted_name, emails)
    values (org, mine, speaks_of, named, external, enabled, display, given, family, formatted, addresses) returning scim_user.id into one;
  else
    update identity.scim_user u
       set profile_id = mine, user_name = named, external_id = external, active = enabled,
           display_name = display, given_name = given, family_name = family, formatted_name = formatted, emails = addresses, changed_at = clock_timestamp()
     where u.organization_id = org and u.id = one;
  end if;
  perform audit.append('lifecycle', case when was.id is null then 'scim.user_created' else 'scim.user_changed' end, 'scim_user', one::text);
  if mine is not null then
    perform identity.scim_set_active(org, mine, enabled);
  end if;
  return query select one, false;
end $$;

-- scim_delete_user removes a user, and the member that they have become as erase_member does: what they wrote stays.
create function redoubt.scim_delete_user(one uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  org uuid := identity.scim_enter();
  was identity.scim_user;
begin
  select u.* into was from identity.scim_user u where u.organization_id = org and u.id = one;
  if was.id is null then
    return false;
  end if;
  perform audit.append('lifecycle', 'scim.user_deleted', 'scim_user', one::text);
  update identity.scim_group g set changed_at = clock_timestamp()
   where g.organization_id = org and exists (select from identity.scim_member x where x.organization_id = org and x.group_id = g.id and x.user_id = one);
  if was.profile_id is not null then
    perform redoubt.erase_member(was.profile_id);
  end if;
  delete from identity.scim_user u where u.organization_id = org and u.id = one; -- who never signed in; of a member it has gone by now
  return true;
end $$;

create function redoubt.scim_groups(one uuid, named text, external text, holds uuid, skip integer, most integer)
  returns table (id uuid, display_name text, external_id text, created_at timestamptz, changed_at timestamptz, size bigint)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  return query
    select g.id, g.display_name, g.external_id, g.created_at, g.changed_at,
           (select count(*) from identity.scim_member x where x.organization_id = g.organization_id and x.group_id = g.id)
      from identity.scim_group g
     where g.organization_id = redoubt.org()
       and (one is null or g.id = one) and (named is null or lower(g.display_name) = lower(named)) and (external is null or g.external_id = external)
       and (holds is null or exists (select from identity.scim_member x where x.organization_id = g.organization_id and x.group_id = g.id and x.user_id = holds))
     order by g.created_at, g.id offset greatest(skip, 0) limit least(most, 1000);
end $$;

create function redoubt.scim_count_groups(one uuid, named text, external text, holds uuid) returns bigint
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  return (select count(*) from identity.scim_group g
     where g.organization_id = redoubt.org()
       and (one is null or g.id = one) and (named is null or lower(g.display_name) = lower(named)) and (external is null or g.external_id = external)
       and (holds is null or exists (select from identity.scim_member x where x.organization_id = g.organization_id and x.group_id = g.id and x.user_id = holds)));
end $$;

-- scim_members lists who is in each of these groups.
create function redoubt.scim_members(groups uuid[])
  returns table (group_id uuid, members jsonb)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  return query
    select x.group_id, jsonb_agg(jsonb_build_object('value', u.id, 'display', coalesce(nullif(u.display_name, ''), u.user_name)) order by u.created_at, u.id)
      from identity.scim_member x join identity.scim_user u on u.organization_id = x.organization_id and u.id = x.user_id
     where x.organization_id = redoubt.org() and x.group_id = any (groups)
     group by x.group_id;
end $$;

create function redoubt.scim_hold_group(one uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare org uuid := identity.scim_enter();
begin
  return exists (select from identity.scim_group g where g.organization_id = org and g.id = one);
end $$;

-- scim_put_group makes a group, for no id, or says anew what it is called.
create function redoubt.scim_put_group(one uuid, named text, external text)
  returns table (id uuid, taken boolean)
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  org uuid := identity.scim_enter();
  was identity.scim_group;
begin
  select g.* into was from identity.scim_group g where g.organization_id = org and g.id = one;
  if one is not null and was.id is null then
    return query select null::uuid, false;
    return;
  end if;
  if exists (select from identity.scim_group g where g.organization_id = org and g.id is distinct from one and lower(g.display_name) = lower(named)) then
    return query select null::uuid, true;
    return;
  end if;
  if one is null then
    if (select count(*) from identity.scim_group g where g.organization_id = org) >= 1000 then
      raise exception 'redoubt: a thousand groups are enough' using errcode = 'RD409';
    end if;
    insert into identity.scim_group (organization_id, display_name, external_id) values (org, named, external) returning scim_group.id into one;
  else
    update identity.scim_group g set display_name = named, external_id = external, changed_at = clock_timestamp() where g.organization_id = org and g.id = one;
  end if;
  perform audit.append('lifecycle', case when was.id is null then 'scim.group_created' else 'scim.group_changed' end, 'scim_group', one::text);
  if was.id is not null and lower(was.display_name) <> lower(named) and (identity.scim_gives(org, was.display_name) or identity.scim_gives(org, named)) then
    perform identity.scim_give_roles(org, array(select x.user_id from identity.scim_member x where x.organization_id = org and x.group_id = one));
  end if;
  return query select one, false;
end $$;

-- scim_change_members takes users out of a group, all of them but the added if nobody else stays, and puts others in. It answers with
-- how many it changed, or null if one of them is no user of the organization's.
create function redoubt.scim_change_members(one uuid, added uuid[], removed uuid[], nobody_else boolean) returns integer
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  org uuid := identity.scim_enter();
  into_group identity.scim_group;
  gone uuid[];
  come uuid[];
begin
  select g.* into into_group from identity.scim_group g where g.organization_id = org and g.id = one;
  if into_group.id is null or cardinality(added) > 10000 or cardinality(removed) > 10000 then
    raise exception 'redoubt: no such group, or too many members at once' using errcode = 'RD409';
  end if;
  perform identity.scim_adopt(org, added);
  if exists (select from unnest(added) a where not exists (select from identity.scim_user u where u.organization_id = org and u.id = a)) then
    return null;
  end if;
  with d as (delete from identity.scim_member x
              where x.organization_id = org and x.group_id = one and (x.user_id = any (removed) or nobody_else) and x.user_id <> all (added) returning x.user_id)
  select coalesce(array_agg(d.user_id), '{}') into gone from d;
  with i as (insert into identity.scim_member (organization_id, group_id, user_id) select distinct org, one, a from unnest(added) a on conflict do nothing returning user_id)
  select coalesce(array_agg(i.user_id), '{}') into come from i;
  if cardinality(gone || come) = 0 then
    return 0;
  end if;
  if (select count(*) from identity.scim_member x where x.organization_id = org and x.group_id = one) > 10000 then
    raise exception 'redoubt: ten thousand members of a group are enough' using errcode = 'RD409';
  end if;
  update identity.scim_group g set changed_at = clock_timestamp() where g.organization_id = org and g.id = one;
  perform audit.append('lifecycle', 'scim.group_changed', 'scim_group', one::text, jsonb_build_object('added', cardinality(come), 'removed', cardinality(gone)));
  if identity.scim_gives(org, into_group.display_name) then
    perform identity.scim_give_roles(org, gone || come);
  end if;
  return cardinality(gone || come);
end $$;

create function redoubt.scim_delete_group(one uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  org uuid := identity.scim_enter();
  was identity.scim_group;
  users uuid[] := array(select x.user_id from identity.scim_member x where x.organization_id = redoubt.org() and x.group_id = one);
begin
  delete from identity.scim_group g where g.organization_id = org and g.id = one returning * into was;
  if was.id is null then
    return false;
  end if;
  perform audit.append('lifecycle', 'scim.group_deleted', 'scim_group', one::text);
  if identity.scim_gives(org, was.display_name) then
    perform identity.scim_give_roles(org, users);
  end if;
  return true;
end $$;

grant execute on function redoubt.scim_users(uuid, text, text, timestamptz, uuid, integer, integer), redoubt.scim_count_users(uuid, text, text), redoubt.scim_hold_user(uuid),
  redoubt.scim_put_user(uuid, text, text, boolean, text, text, text, text, jsonb), redoubt.scim_delete_user(uuid),
  redoubt.scim_groups(uuid, text, text, uuid, integer, integer), redoubt.scim_count_groups(uuid, text, text, uuid), redoubt.scim_members(uuid[]),
  redoubt.scim_hold_group(uuid), redoubt.scim_put_group(uuid, text, text), redoubt.scim_change_members(uuid, uuid[], uuid[], boolean), redoubt.scim_delete_group(uuid)
  to redoubt_webhook;

-- ---- What an administrator may ask ----

-- scim_speak_of chooses of which of its providers an endpoint of the caller's organization speaks. Users whom it has announced before stay
-- that other provider's.
create function redoubt.scim_speak_of(endpoint uuid, issuer text) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('endpoints:write');
  perform redoubt.require('scim:manage');
  if not redoubt.interactive() then
    raise exception 'redoubt: only a person chooses a provider' using errcode = 'RD403';
  end if;
  if not exists (select from identity.endpoint e where e.id = endpoint and e.organization_id = redoubt.org() and e.revoked_at is null) then
    return false;
  end if;
  if not exists (select from identity.organization_issuer b where b.organization_id = redoubt.org() and b.issuer = scim_speak_of.issuer) then
    raise exception 'redoubt: the organization has no such provider' using errcode = 'RD409';
  end if;
  insert into identity.scim_endpoint (endpoint_id, issuer) values (endpoint, scim_speak_of.issuer)
    on conflict on constraint scim_endpoint_pkey do update set issuer = excluded.issuer;
  perform audit.append('credential', 'scim.provider_chosen', 'endpoint', endpoint::text);
  return true;
end $$;

-- scim_providers lists the organization's own providers: without one nobody can be announced, and of several one is chosen.
create function redoubt.scim_providers() returns table (issuer text)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('scim:manage');
  return query select b.issuer from identity.organization_issuer b where b.organization_id = redoubt.org() order by 1 limit 100;
end $$;
grant execute on function redoubt.scim_speak_of(uuid, text), redoubt.scim_providers() to redoubt_app;

-- ---- What identity does at a sign-in, before a tenant is known ----

-- scim_claim makes members of the users whom providers have announced under this issuer, by subject or by verified address, wherever they
-- have not signed in before. Who was stopped meanwhile becomes a stopped member: no other way of being admitted lets them in. It
-- answers with how many it claimed.
create function identity.scim_claim(issuer text, subject text, email text, verified boolean, visit text) returns integer
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  u identity.scim_user;
  who uuid;
  member uuid;
  n integer := 0;
begin
  for u in select x.* from identity.scim_user x join identity.organization o on o.id = x.organization_id
            where x.issuer = scim_claim.issuer and x.profile_id is null and o.active
              and exists (select from identity.organization_issuer b where b.organization_id = x.organization_id and b.issuer = x.issuer)
              and (x.external_id = scim_claim.subject or scim_claim.verified and scim_claim.email <> '' and lower(x.user_name) = lower(scim_claim.email))
            order by (x.external_id is not distinct from scim_claim.subject) desc limit 100 for update of x loop
    insert into identity.person (issuer, subject) values (scim_claim.issuer, scim_claim.subject) on conflict do nothing;
    select p.id into who from identity.person p where p.issuer = scim_claim.issuer and p.subject = scim_claim.subject;
    select m.id into member from identity.membership m where m.organization_id = u.organization_id and m.person_id = who for update;
    if exists (select from identity.scim_user x where x.organization_id = u.organization_id and x.profile_id = member) then
      continue; -- they are another user already
    elsif not u.active and exists (select from identity.membership m where m.organization_id = u.organization_id and m.id = member and m.role = 'owner') then
      continue; -- only their own provider's next word may stop an owner, by scim_set_active
    elsif member is null then
      insert into identity.membership (organization_id, id, person_id, role, custom_role, active)
      select u.organization_id, redoubt.new_id(u.organization_id), who, b.role, b.custom_role, u.active from identity.scim_role(u.organization_id, u.id) b returning id into member;
    elsif not u.active then
      update identity.membership m set active = false where m.organization_id = u.organization_id and m.id = member and m.active;
      update identity.session s set revoked_at = now() where s.organization_id = u.organization_id and s.profile_id = member and s.revoked_at is null;
    end if;
    update identity.scim_user x set profile_id = member, changed_at = clock_timestamp() where x.organization_id = u.organization_id and x.id = u.id;
    perform audit.append_identity(u.organization_id, member, null, scim_claim.visit, 'credential', 'scim.user_claimed', 'scim_user', u.id::text);
    n := n + 1;
  end loop;
  return n;
end $$;
grant execute on function identity.scim_claim(text, text, text, boolean, text) to redoubt_identity;
reset role;
