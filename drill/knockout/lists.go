package knockout

func perimeterUnits() []Unit { return nil }
func transportUnits() []Unit { return nil }
func identityUnits() []Unit  { return nil }
func gateUnits() []Unit      { return nil }
func inputUnits() []Unit     { return nil }
func rlsUnits() []Unit       { return nil }
func auditUnits() []Unit     { return nil }
func causes() []Unit         { return nil }
