CREATE TABLE commons.product (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  name            text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  description     text        NOT NULL DEFAULT '' CHECK (length(description) <= 1000),
  price_cents     bigint      NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000),
  active          boolean     NOT NULL DEFAULT true,
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, id)
);
CREATE INDEX ON commons.product (organization_id, name, id);

-- What was bought, at the price of that moment. Amounts never change afterwards. The buyer may be deleted (SYSTEM I8); the order
-- stays, and the name that stands there then is nobody's to write.
CREATE TABLE commons.order_ (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT redoubt.new_id(),
  buyer_id        uuid        DEFAULT redoubt.profile(),
  buyer_name      text        GENERATED ALWAYS AS (CASE WHEN buyer_id IS NULL THEN '[Deleted User]' END) STORED,
  product_id      uuid        NOT NULL,
  product_name    text        NOT NULL,
  quantity        int         NOT NULL CHECK (quantity BETWEEN 1 AND 100),
  unit_cents      bigint      NOT NULL CHECK (unit_cents >= 0),
  total_cents     bigint      NOT NULL CHECK (total_cents >= 0 AND total_cents = quantity * unit_cents),
  notes           text        NOT NULL DEFAULT '' CHECK (length(notes) <= 500),
  created_at      timestamptz NOT NULL DEFAULT now(),
  state           text        NOT NULL DEFAULT 'placed' CHECK (state IN ('placed', 'paid', 'fulfilled', 'cancelled', 'refunded')),
  paid_at         timestamptz CHECK (paid_at >= created_at),
  fulfilled_at    timestamptz CHECK (fulfilled_at >= paid_at),
  cancelled_at    timestamptz CHECK (cancelled_at >= created_at),
  refunded_at     timestamptz CHECK (refunded_at >= paid_at),
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, product_id) REFERENCES commons.product (organization_id, id),
  FOREIGN KEY (organization_id, buyer_id) REFERENCES commons.profile (organization_id, id) ON DELETE SET NULL (buyer_id),
  -- Each time is there exactly in the states that have passed it.
  CHECK ((paid_at IS NOT NULL) = (state IN ('paid', 'fulfilled', 'refunded'))),
  CHECK ((fulfilled_at IS NOT NULL) = (state = 'fulfilled')),
  CHECK ((cancelled_at IS NOT NULL) = (state = 'cancelled')),
  CHECK ((refunded_at IS NOT NULL) = (state = 'refunded'))
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

-- The ways that an order can go, and what one needs for each (SYSTEM D4). A statement says the state; the times are the database's.
-- Nothing else of an order ever changes, but that its buyer is deleted: the foreign key takes them out, as the owner of the table.
CREATE FUNCTION commons.move_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  at    timestamptz := clock_timestamp(); -- now() may be earlier than the transaction that placed it
  needs text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'placed' THEN
      RAISE EXCEPTION 'redoubt: an order begins as placed' USING ERRCODE = 'RD409';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.organization_id, NEW.id, NEW.product_id, NEW.product_name, NEW.quantity, NEW.unit_cents, NEW.total_cents, NEW.notes)
     IS DISTINCT FROM (OLD.organization_id, OLD.id, OLD.product_id, OLD.product_name, OLD.quantity, OLD.unit_cents, OLD.total_cents, OLD.notes)
     OR NEW.buyer_id IS DISTINCT FROM OLD.buyer_id AND NOT (NEW.buyer_id IS NULL AND current_user = 'redoubt_owner') THEN
    RAISE EXCEPTION 'redoubt: an order stays as it was placed' USING ERRCODE = 'RD409';
  END IF;
  NEW.paid_at := OLD.paid_at;
  NEW.fulfilled_at := OLD.fulfilled_at;
  NEW.cancelled_at := OLD.cancelled_at;
  NEW.refunded_at := OLD.refunded_at;
  IF NEW.state = OLD.state THEN
    RETURN NEW;
  END IF;
  SELECT way.needs INTO needs FROM (VALUES
    ('placed', 'paid',      'orders:manage'),
    ('placed', 'cancelled', 'orders:write'),
    ('paid',   'fulfilled', 'orders:manage'),
    ('paid',   'refunded',  'orders:manage')) AS way (was, becomes, needs)
   WHERE way.was = OLD.state AND way.becomes = NEW.state;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'redoubt: an order does not go this way' USING ERRCODE = 'RD409';
  END IF;
  PERFORM redoubt.require(needs);
  CASE NEW.state
    WHEN 'paid' THEN NEW.paid_at := greatest(at, OLD.created_at); -- also when the clock was put back
    WHEN 'cancelled' THEN NEW.cancelled_at := greatest(at, OLD.created_at);
    WHEN 'fulfilled' THEN NEW.fulfilled_at := greatest(at, OLD.paid_at);
    WHEN 'refunded' THEN NEW.refunded_at := greatest(at, OLD.paid_at);
  END CASE;
  RETURN NEW;
END $$;
CREATE TRIGGER move_order BEFORE INSERT OR UPDATE ON commons.order_ FOR EACH ROW EXECUTE FUNCTION commons.move_order();

-- A buyer sees and moves their own orders; an administrator all of the organization's.
CREATE POLICY own_read ON commons.order_ AS RESTRICTIVE FOR SELECT USING (buyer_id = (SELECT redoubt.profile()) OR (SELECT redoubt.has('orders:read-all')));
CREATE POLICY own_insert ON commons.order_ AS RESTRICTIVE FOR INSERT WITH CHECK (buyer_id = (SELECT redoubt.profile()));
CREATE POLICY own_update ON commons.order_ AS RESTRICTIVE FOR UPDATE USING (buyer_id = (SELECT redoubt.profile()) OR (SELECT redoubt.has('orders:manage')));

-- Who sells: administrators.
CREATE POLICY sellers_insert ON commons.product AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT redoubt.has('products:write')));

GRANT SELECT, INSERT (id, name, description, price_cents) ON commons.product TO redoubt_app;
GRANT SELECT, INSERT (id, product_id, quantity, notes), UPDATE (state) ON commons.order_ TO redoubt_app;

SELECT redoubt.allow('member', 'products:read', 'orders:read', 'orders:write');
SELECT redoubt.allow('administrator', 'products:read', 'products:write', 'orders:read', 'orders:write', 'orders:read-all', 'orders:manage');
