-- A file as whatever holds it shows it: pictures in their largest size. Who sees it is said by the policies of the tables beneath.
CREATE VIEW commons.attachment WITH (security_invoker = true) AS
  SELECT f.organization_id, f.id, f.name, c.kind, o.size, o.width, o.height
    FROM files.file f
    JOIN files.content c ON c.organization_id = f.organization_id AND c.id = f.content_id
    JOIN files.object o ON o.organization_id = c.organization_id AND o.content_id = c.id AND o.variant IN ('', 'large');
GRANT SELECT ON commons.attachment TO redoubt_app;
