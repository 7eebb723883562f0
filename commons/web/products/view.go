// Package products is the model of the shop window, GET /products.
package products

// A View is what the organization sells. The form of each product is POST /orders with "product_id", "quantity" and "notes":
// a buyer does not say the price.
type View struct {
	Products  []Product
	MaxNotes  int    // characters that the notes of an order may have; zero shows no counter
	Next      string // cursor of the next page; empty on the last
	Continued bool   // this is not the first page
}

// A Product is one thing for sale.
type Product struct {
	ID          string
	Name        string
	Description string // plain text; may be empty
	PriceCents  int64
	Currency    string // ISO 4217; empty for EUR
}
