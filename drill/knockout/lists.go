package knockout

import "slices"

// causes are the failures that several layers share.
func causes() []Unit { return slices.Concat(applicationCauses(), databaseCauses()) }
