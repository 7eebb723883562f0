// Package order is the model of a receipt, GET /orders/{id}, with what its reader may do about the order.
package order

import "time"

// A View is one order as the server priced it. Its forms are POST /orders/{id}/cancel, …/pay, …/fulfill and …/refund, each shown
// if its May says so; the gates decide.
type View struct {
	ID         string
	Product    string
	Buyer      string // display name; empty for a person who has been deleted
	Quantity   int
	UnitCents  int64
	TotalCents int64
	Currency   string // ISO 4217; empty for EUR
	Notes      string // what the buyer wrote; may be empty
	Status     string // "placed", "paid", "fulfilled", "cancelled", "refunded"; empty shows none
	Placed     time.Time

	// When it came so far; zero for not.
	Paid, Fulfilled, Cancelled, Refunded time.Time

	MayCancel, MayPay, MayFulfill, MayRefund bool
}
