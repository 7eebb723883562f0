// Package orders is the model of the list of orders, GET /orders: the viewer's own, or everybody's for an administrator.
package orders

import "time"

// A View is a page of orders, newest first.
type View struct {
	Orders    []Order
	Everyone  bool   // the orders of all members, with their names
	Next      string // cursor of the next, older page; empty on the last
	Continued bool   // this is not the first page
}

// An Order is one line of the list.
type Order struct {
	ID         string
	Product    string
	Buyer      string // display name; empty for a person who has been deleted; shown if Everyone
	Quantity   int
	TotalCents int64
	Currency   string // ISO 4217; empty for EUR
	Status     string // "placed", "paid", "fulfilled", "cancelled", "refunded"; empty shows none
	Placed     time.Time
}
