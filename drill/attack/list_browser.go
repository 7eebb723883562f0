package attack

func browser() []Attack {
	return []Attack{
		scriptInAPost(), scriptPutIntoTheDatabase(), linkThatIsAScript(), scriptInAComment(), scriptInAName(), scriptInTheNameOfAFile(), scriptInWhatWasTyped(),
		cookieReadByAScript(), formThatTakesTheToken(), baseThatMovesThePage(), styleThatReadsTheToken(), pictureThatCountsReaders(), frameInAPost(), readerLedAway(),
		addressToldToAnotherSite(), windowLeftBehind(), commentByAnotherSitesForm(), commentByAnotherSitesScript(), clickInAHiddenFrame(), pictureSeenByAnotherSite(),
	}
}
