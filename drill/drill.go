// Package drill attacks a disposable copy of the whole system while layers are missing from it, and measures how many of them have
// to fail before an attack does harm. A layer that nobody has ever seen stop anything by itself is a claim; here it is taken away, and put
// alone in the way, and what follows is seen by an oracle and not read from a status (SYSTEM G5).
//
// Nobody is trusted with the result, the drill least of all. Every attack must do harm where everything is out, else it proves nothing.
// A legitimate day must go well in every configuration, else a layer stops attacks by stopping everybody. Every unit has to be seen
// missing. What crashes, hangs or cannot be carried out is not a stop but a fault, by name.
//
// It touches nothing but copies that it has started itself, on loopback, in a folder of which nothing is left; it takes no address.
package drill
