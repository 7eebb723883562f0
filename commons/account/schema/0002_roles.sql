-- What an organization's roles may do (SYSTEM I4), for every noun of Commons: owners and admins what members may and more, guests less. What is
-- allowed to administrators alone, such as deleting a person or reading the audit trail, is in none of them (SYSTEM I3).
SELECT redoubt.allow('guest', 'profile:read', 'profile:write', 'files:read', 'files:write', 'sessions:write', 'posts:read', 'comments:read', 'courses:read', 'products:read');

SELECT redoubt.allow('admin', 'profile:read', 'profile:write', 'files:read', 'files:write', 'sessions:write', 'keys:write', 'posts:read', 'posts:write', 'comments:read', 'comments:write',
  'courses:read', 'progress:write', 'bookmarks:read', 'bookmarks:write', 'products:read', 'orders:read', 'orders:write',
  'members:read', 'members:write', 'members:invite', 'roles:write', 'posts:moderate', 'courses:write', 'products:write', 'orders:read-all');

SELECT redoubt.allow('owner', 'profile:read', 'profile:write', 'files:read', 'files:write', 'sessions:write', 'keys:write', 'posts:read', 'posts:write', 'comments:read', 'comments:write',
  'courses:read', 'progress:write', 'bookmarks:read', 'bookmarks:write', 'products:read', 'orders:read', 'orders:write',
  'members:read', 'members:write', 'members:invite', 'roles:write', 'organization:write', 'posts:moderate', 'courses:write', 'products:write', 'orders:read-all', 'orders:manage');

SELECT redoubt.allow('administrator', 'members:invite', 'roles:write', 'organization:write');

-- What an organization may put into roles of its own.
SELECT redoubt.allow_granting('posts:write', 'comments:write', 'posts:moderate', 'progress:write', 'bookmarks:read', 'bookmarks:write', 'courses:write',
  'products:write', 'orders:read', 'orders:write', 'orders:read-all', 'orders:manage', 'members:read', 'members:invite');
