CREATE TABLE commons.product (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT gen_random_uuid(),
  name            text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  description     text        NOT NULL DEFAULT '' CHECK (length(description) <= 1000),
  price_cents     bigint      NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000),
  active          boolean     NOT NULL DEFAULT true,
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id)
);
CREATE INDEX ON commons.product (organization_id, name, id);

CREATE TABLE commons.order_ (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT gen_random_uuid(),
  buyer_id        uuid        NOT NULL DEFAULT redoubt.profile(),
  product_id      uuid        NOT NULL,
  product_name    text        NOT NULL,
  quantity        int         NOT NULL CHECK (quantity BETWEEN 1 AND 100),
  unit_cents      bigint      NOT NULL CHECK (unit_cents >= 0),
  total_cents     bigint      NOT NULL CHECK (total_cents >= 0 AND total_cents = quantity * unit_cents),
  notes           text        NOT NULL DEFAULT '' CHECK (length(notes) <= 500),
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, product_id) REFERENCES commons.product (organization_id, id),
  FOREIGN KEY (organization_id, buyer_id) REFERENCES commons.profile (organization_id, id)
);
CREATE INDEX ON commons.order_ (organization_id, created_at DESC, id DESC);
CREATE INDEX ON commons.order_ (organization_id, buyer_id, created_at DESC, id DESC);
CREATE INDEX ON commons.order_ (organization_id, product_id);

-- An order's price comes from the product, whatever the statement that inserts it says.
CREATE FUNCTION commons.price_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE p record;
BEGIN
  SELECT name, price_cents INTO p FROM commons.product WHERE id = NEW.product_id AND active;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'redoubt: no such product' USING ERRCODE = '23503';
  END IF;
  NEW.product_name := p.name;
  NEW.unit_cents := p.price_cents;
  NEW.total_cents := p.price_cents * NEW.quantity;
  RETURN NEW;
END $$;
CREATE TRIGGER price_order BEFORE INSERT ON commons.order_ FOR EACH ROW EXECUTE FUNCTION commons.price_order();

-- A buyer sees their own orders; an administrator all of the organization's.
CREATE POLICY own_read ON commons.order_ AS RESTRICTIVE FOR SELECT USING (buyer_id = (SELECT redoubt.profile()) OR (SELECT redoubt.has('orders:read-all')));
CREATE POLICY own_insert ON commons.order_ AS RESTRICTIVE FOR INSERT WITH CHECK (buyer_id = (SELECT redoubt.profile()));

-- Who sells: administrators.
CREATE POLICY sellers_insert ON commons.product AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT redoubt.has('products:write')));

GRANT SELECT, INSERT (id, name, description, price_cents) ON commons.product TO redoubt_app;
GRANT SELECT, INSERT (id, product_id, quantity, notes) ON commons.order_ TO redoubt_app;

SELECT redoubt.allow('member', 'products:read', 'orders:read', 'orders:write');
SELECT redoubt.allow('administrator', 'products:read', 'products:write', 'orders:read', 'orders:write', 'orders:read-all');
