// Package order is the model of a receipt, GET /orders/{id}.
package order

import "time"

// A View is one order as the server priced it.
type View struct {
	ID         string
	Product    string
	Buyer      string // display name; empty for a person who has been deleted
	Quantity   int
	UnitCents  int64
	TotalCents int64
	Currency   string // ISO 4217; empty for EUR
	Notes      string // what the buyer wrote; may be empty
	Status     string // "placed", "paid", "cancelled"; empty shows none
	Placed     time.Time
}
