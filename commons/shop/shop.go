// Package shop sells an organization's products to its members.
package shop

import (
	"context"
	"embed"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	ordermodel "github.com/redoubt-dev/redoubt/commons/web/order"
	"github.com/redoubt-dev/redoubt/commons/web/orders"
	"github.com/redoubt-dev/redoubt/commons/web/products"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is the shop's line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// A Shop answers for products and orders.
type Shop struct{ db *rls.DB }

// New makes a Shop.
func New(db *rls.DB) *Shop { return &Shop{db} }

// Routes declares everything the outside may ask of the shop, and who may ask it.
func (s *Shop) Routes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.Page("GET /products", redoubt.Members, s.productsPage),
		redoubt.Page("GET /orders", redoubt.Members, s.ordersPage),
		redoubt.Page("GET /orders/{id}", redoubt.Members, s.orderPage),
		redoubt.Form("POST /orders", redoubt.Members, s.Place).Back("GET /products"),
		redoubt.Form("POST /orders/{id}/cancel", redoubt.Members, s.Cancel).Then("..", "The order is cancelled."),
		redoubt.Form("POST /orders/{id}/pay", redoubt.Administrators, s.Pay).Then("..", "The order is paid."),
		redoubt.Form("POST /orders/{id}/fulfill", redoubt.Administrators, s.Fulfill).Then("..", "The order is fulfilled."),
		redoubt.Form("POST /orders/{id}/refund", redoubt.Administrators, s.Refund).Then("..", "The order is refunded."),

		redoubt.JSON("GET /api/v1/products", redoubt.Scope("products:read"), s.listProducts).Doc("List what the organization sells"),
		redoubt.JSON("POST /api/v1/products", redoubt.Scope("products:write"), s.Offer).Doc("Offer a product"),
		redoubt.JSON("GET /api/v1/products/{id}", redoubt.Scope("products:read"), s.readProduct).Doc("Read one product"),
		redoubt.JSON("GET /api/v1/orders", redoubt.Scope("orders:read"), s.listOrders).Doc("List your orders, newest first; an administrator sees everybody's"),
		redoubt.JSON("POST /api/v1/orders", redoubt.Scope("orders:write"), s.Place).Doc("Place an order; the price is the shop's to say"),
		redoubt.JSON("GET /api/v1/orders/{id}", redoubt.Scope("orders:read"), s.read).Doc("Read one order"),
		redoubt.JSON("POST /api/v1/orders/{id}/cancel", redoubt.Scope("orders:write"), s.Cancel).Doc("Call off an order of your own that nobody has paid; with orders:manage, anybody's"),
		redoubt.JSON("POST /api/v1/orders/{id}/pay", redoubt.Scope("orders:manage"), s.Pay).Doc("Record that an order is paid"),
		redoubt.JSON("POST /api/v1/orders/{id}/fulfill", redoubt.Scope("orders:manage"), s.Fulfill).Doc("Record that a paid order is fulfilled"),
		redoubt.JSON("POST /api/v1/orders/{id}/refund", redoubt.Scope("orders:manage"), s.Refund).Doc("Give back the money of a paid order that is not fulfilled"),
	}
}

// Distinct ids for distinct things.
type (
	ProductID string
	OrderID   string
)

// Constraints says that a ProductID is a UUID.
func (ProductID) Constraints() reflect.StructTag { return `format:"uuid"` }

// Constraints says that an OrderID is a UUID.
func (OrderID) Constraints() reflect.StructTag { return `format:"uuid"` }

// A Product is one thing for sale.
type Product struct {
	ID          ProductID `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	PriceCents  int64     `json:"price_cents" doc:"in cents of a euro"`
	CreatedAt   time.Time `json:"created_at"`
}

// An Order is what somebody bought, at the price of that moment.
type Order struct {
	ID          OrderID          `json:"id"`
	ProductID   ProductID        `json:"product_id"`
	ProductName string           `json:"product_name"`
	Buyer       string           `json:"buyer" doc:"display name"`
	Mine        bool             `json:"mine" doc:"you placed it"`
	BuyerID     *layer.ProfileID `json:"-"`
	Quantity    int              `json:"quantity"`
	UnitCents   int64            `json:"unit_cents"`
	TotalCents  int64            `json:"total_cents"`
	Notes       string           `json:"notes"`
	State       State            `json:"state"`
	CreatedAt   time.Time        `json:"created_at"`
	PaidAt      *time.Time       `json:"paid_at"`
	FulfilledAt *time.Time       `json:"fulfilled_at"`
	CancelledAt *time.Time       `json:"cancelled_at"`
	RefundedAt  *time.Time       `json:"refunded_at"`
}

// For says that an order is for its buyer, and for who may read all.
func (o Order) For(who layer.Principal) bool {
	return who.Has("orders:read-all") || o.BuyerID != nil && *o.BuyerID == who.Profile()
}

// Location is where the order can be found.
func (o Order) Location() string { return "/orders/" + string(o.ID) }

type (
	oneProduct struct {
		ID ProductID `path:"id"`
	}
	// OneOrder names an order.
	OneOrder struct {
		ID OrderID `path:"id"`
	}
	// Nothing is the answer when there is nothing to say.
	Nothing struct{}
	// ProductList is a page of products.
	ProductList struct {
		Products []Product      `json:"products"`
		Next     redoubt.Cursor `json:"next,omitempty"`
	}
	// OrderList is a page of orders.
	OrderList struct {
		Orders []Order        `json:"orders"`
		Next   redoubt.Cursor `json:"next,omitempty"`
	}
)

const selectProducts = `
select id, name, description, price_cents, created_at from commons.product
 where active and ($1::timestamptz is null or (created_at, id) < ($1, $2::uuid))
 order by created_at desc, id desc limit $3`

func (s *Shop) listProducts(ctx context.Context, who layer.Principal, in redoubt.Window) (ProductList, error) {
	at, id := in.Cursor.Place()
	rows, err := rls.All[Product](s.db.As(ctx, who), selectProducts, at, id, in.Size()+1)
	if err != nil {
		return ProductList{}, err
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(p Product) redoubt.Cursor { return redoubt.CursorAt(p.CreatedAt, string(p.ID)) })
	return ProductList{rows, next}, nil
}

const selectProduct = `select id, name, description, price_cents, created_at from commons.product where active and id = $1`

func (s *Shop) readProduct(ctx context.Context, who layer.Principal, in oneProduct) (Product, error) {
	return rls.One[Product](s.db.As(ctx, who), selectProduct, in.ID)
}

// OfferProduct is a new product, in an administrator's words.
type OfferProduct struct {
	Name        string `json:"name" minLength:"1" maxLength:"100"`
	Description string `json:"description,omitempty" maxLength:"1000" multiline:"true"`
	PriceCents  int64  `json:"price_cents" minimum:"0" maximum:"100000000"`
}

// Location is where the product can be found.
func (p Product) Location() string { return "/products/" + string(p.ID) }

const insertProduct = `insert into commons.product (name, description, price_cents) values ($1, $2, $3) returning id`

// Offer adds a product, for an administrator.
func (s *Shop) Offer(ctx context.Context, who layer.Principal, in OfferProduct) (Product, error) {
	return action.Do(ctx, s.db, who, "products:write", func(tx *action.Tx) (Product, error) {
		id, err := rls.One[ProductID](tx, insertProduct, in.Name, in.Description, in.PriceCents)
		if err != nil {
			return Product{}, err
		}
		if err := tx.Audit(audit.Lifecycle, "product.offered", string(id)); err != nil {
			return Product{}, err
		}
		return rls.One[Product](tx, selectProduct, id)
	})
}

const orderColumns = `
select o.id, o.product_id, o.product_name, coalesce(b.display_name, o.buyer_name) as buyer, coalesce(o.buyer_id = (select redoubt.profile()), false) as mine, o.buyer_id,
       o.quantity, o.unit_cents, o.total_cents, o.notes, o.state, o.created_at, o.paid_at, o.fulfilled_at, o.cancelled_at, o.refunded_at
  from commons.order_ o left join commons.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id`

const (
	selectOrders = orderColumns + `
 where $1::timestamptz is null or (o.created_at, o.id) < ($1, $2::uuid)
 order by o.created_at desc, o.id desc limit $3`
	selectOrder = orderColumns + ` where o.id = $1`
)

func (s *Shop) listOrders(ctx context.Context, who layer.Principal, in redoubt.Window) (OrderList, error) {
	at, id := in.Cursor.Place()
	rows, err := rls.All[Order](s.db.As(ctx, who), selectOrders, at, id, in.Size()+1)
	if err != nil {
		return OrderList{}, err
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(o Order) redoubt.Cursor { return redoubt.CursorAt(o.CreatedAt, string(o.ID)) })
	return OrderList{rows, next}, nil
}

func (s *Shop) read(ctx context.Context, who layer.Principal, in OneOrder) (Order, error) {
	return rls.One[Order](s.db.As(ctx, who), selectOrder, in.ID)
}

const maxNotes = 500

// PlaceOrder is what a buyer says. The price is not theirs to say.
type PlaceOrder struct {
	ProductID ProductID `json:"product_id"`
	Quantity  int       `json:"quantity" minimum:"1" maximum:"100"`
	Notes     string    `json:"notes,omitempty" maxLength:"500" multiline:"true"`
}

const insertOrder = `insert into commons.order_ (product_id, quantity, notes) values ($1, $2, $3) returning id`

// Place buys a product for who.
func (s *Shop) Place(ctx context.Context, who layer.Principal, in PlaceOrder) (Order, error) {
	return action.Do(ctx, s.db, who, "orders:write", func(tx *action.Tx) (Order, error) {
		id, err := rls.One[OrderID](tx, insertOrder, in.ProductID, in.Quantity, in.Notes) // no organization in sight: the database knows who asks
		if err != nil {
			return Order{}, err
		}
		if err := tx.Audit(audit.Payment, "order.placed", string(id)); err != nil {
			return Order{}, err
		}
		return rls.One[Order](tx, selectOrder, id)
	})
}

// ---- pages ----

func (s *Shop) productsPage(ctx context.Context, who layer.Principal, in redoubt.Window) (redoubt.View, error) {
	list, err := s.listProducts(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := products.View{MaxNotes: maxNotes, Next: string(list.Next), Continued: in.Cursor != ""}
	for _, p := range list.Products {
		view.Products = append(view.Products, products.Product{ID: string(p.ID), Name: p.Name, Description: p.Description, PriceCents: p.PriceCents})
	}
	return redoubt.View{Page: "products", Title: "Products", Data: view}, nil
}

func (s *Shop) ordersPage(ctx context.Context, who layer.Principal, in redoubt.Window) (redoubt.View, error) {
	list, err := s.listOrders(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := orders.View{Everyone: who.Administrator(), Next: string(list.Next), Continued: in.Cursor != ""}
	for _, o := range list.Orders {
		view.Orders = append(view.Orders, orders.Order{ID: string(o.ID), Product: o.ProductName, Buyer: o.Buyer, Quantity: o.Quantity, TotalCents: o.TotalCents, Status: string(o.State), Placed: o.CreatedAt})
	}
	return redoubt.View{Page: "orders", Title: "Orders", Data: view}, nil
}

func (s *Shop) orderPage(ctx context.Context, who layer.Principal, in OneOrder) (redoubt.View, error) {
	o, err := s.read(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := ordermodel.View{ID: string(o.ID), Product: o.ProductName, Buyer: o.Buyer, Quantity: o.Quantity,
		UnitCents: o.UnitCents, TotalCents: o.TotalCents, Notes: o.Notes, Status: string(o.State), Placed: o.CreatedAt,
		Paid: known(o.PaidAt), Fulfilled: known(o.FulfilledAt), Cancelled: known(o.CancelledAt), Refunded: known(o.RefundedAt)}
	manages := who.Has("orders:manage")
	view.MayCancel = o.State == Placed && (manages || o.Mine)
	view.MayPay = o.State == Placed && manages
	view.MayFulfill = o.State == Paid && manages
	view.MayRefund = view.MayFulfill
	return redoubt.View{Page: "order", Title: "Order", Data: view}, nil
}

func known(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
