package attack

func inputs() []Attack {
	return []Attack{
		serviceInside(), wordsThatRunBackwards(), nameWithoutEnd(),
		scriptInADrawing(), pageInADocument(), pageInAPortrait(), scriptInATextFile(), bombOfPixels(), placeInAPhotograph(), fileOfAnotherOrganization(),
	}
}
