// Package knockout is the only code that can take a layer out, and it can do so in a disposable copy alone: it puts cuts into a copy of
// Redoubt's source and builds the program from that, says SQL to the copy's own database, or starts the copy without its policy. Nothing
// in the source that is shipped knows of it: there is no switch to be found there, by mistake or by an attacker (SYSTEM G5).
//
// A unit is one mechanism. Two that decide by the same code, or by the same word of the same source, are one; a common cause is one
// failure that several layers share. Each has a proof that its absence is felt, so that no attack is counted as stopped by something
// that was there after all, nor as unstoppable by something that was never gone.
package knockout
