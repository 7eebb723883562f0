// Package tidy holds the repository to its own rules, as plain tests that take milliseconds: which package may know which, who
// may open which door, what a document may say. A rule that only reviewers hold is forgotten in the week when it matters.
//
// A rule is a function from the house to its faults, each a sentence that says what to do. TestHouse runs every rule over the
// repository; TestRulesBite runs each over a small house with that one fault, so that a rule that has gone blind is noticed.
// What a rule admits by name is listed in lists_test.go with its reason. Lists only shrink: an entry that nothing needs is a
// fault too.
package tidy
