-- As a hosting platform makes it: an API's role that becomes anybody, a service role past every policy, claims in a variable.
create role {anon}; create role {authenticated}; create role {service} bypassrls;
create role {authenticator} login noinherit;
grant {anon}, {authenticated}, {service} to {authenticator};
create schema auth;
grant usage on schema auth to {anon}, {authenticated};
create function auth.uid() returns uuid stable language sql as $$ select nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::uuid $$;
create function auth.role() returns text stable language sql as $$ select current_setting('request.jwt.claims', true)::json ->> 'role' $$;
create table auth.users (id uuid primary key, email text);

create table public.organizations (id uuid primary key default gen_random_uuid(), name text not null);
create table public.members (org_id uuid not null references public.organizations (id), user_id uuid not null, primary key (org_id, user_id));
create table public.projects (id uuid primary key default gen_random_uuid(), org_id uuid not null, name text not null);
create table public.tasks (id bigint generated always as identity primary key, org_id uuid, project_id uuid references public.projects (id) on delete cascade, title text, state text);
create table public.comments (id bigint generated always as identity primary key, task_id bigint references public.tasks (id), body text);
create index on public.tasks (lower(title));

alter table public.organizations enable row level security;
alter table public.members enable row level security;
alter table public.projects enable row level security;
create policy "Members see their organizations" on public.organizations for select to {authenticated}
  using (exists (select from public.members m where m.org_id = organizations.id and m.user_id = auth.uid()));
create policy "Own memberships" on public.members for select to {authenticated} using (user_id = (select auth.uid()));
create policy "Members see projects" on public.projects for select to {authenticated}
  using (org_id in (select m.org_id from public.members m where m.user_id = (select auth.uid())));
create policy "Signed in may add" on public.projects for insert to {authenticated} with check (auth.role() = '{authenticated}');
create policy "Service" on public.projects to {service} using (true);
create view public.overview as select p.name, p.org_id, count(t.id) from public.projects p left join public.tasks t on t.project_id = p.id group by p.id;
create function public.delete_project(project uuid) returns void language sql security definer as $$ delete from public.projects where id = project $$;
grant all on all tables in schema public to {anon}, {authenticated}, {service};
