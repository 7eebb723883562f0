-- Deleting a person (SYSTEM I8), in one organization at a time: what they wrote belongs to it, and one organization's administrator has
-- no say in another. An application's tables refer to the membership by foreign keys, which say what becomes of each row: it goes with
-- the member (ON DELETE CASCADE), or stays without an author (ON DELETE SET NULL). One that says nothing stops the deletion.
set role redoubt_keys;

-- erase_member removes a member of the caller's organization, with sessions, keys and waiting jobs; and, with their last membership,
-- the person: name, e-mail and subject. It answers false if there is no such member. Members may erase themselves at a browser.
create function redoubt.erase_member(member uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare gone uuid;
begin
  if redoubt.credential_kind() = 'w' then
    perform redoubt.require('scim:manage'); -- the provider's own word, 0008_scim.sql
  elsif member is distinct from redoubt.profile() or not redoubt.interactive() then
    perform redoubt.require('members:erase');
  end if;
  perform redoubt.outrank(member); -- 0006_organizations.sql
  select m.person_id into gone from identity.membership m where m.organization_id = redoubt.org() and m.id = member for update;
  if gone is null then
    return false;
  end if;
  perform audit.append('lifecycle', 'member.erased', 'member', member::text);
  delete from identity.session s where s.organization_id = redoubt.org() and s.profile_id = member;
  delete from identity.api_key k where k.organization_id = redoubt.org() and k.profile_id = member;
  delete from identity.job_grant g where g.organization_id = redoubt.org() and g.profile_id = member;
  update identity.endpoint e set made_by = null where e.organization_id = redoubt.org() and e.made_by = member;
  delete from identity.membership m where m.organization_id = redoubt.org() and m.id = member;
  perform from identity.person p where p.id = gone for update; -- two last memberships that end at once
  if not exists (select from identity.membership m where m.person_id = gone) then
    delete from identity.person p where p.id = gone;
  end if;
  return true;
end $$;
grant execute on function redoubt.erase_member(uuid) to redoubt_app;
reset role;
