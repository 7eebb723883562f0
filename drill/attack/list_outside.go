package attack

func outside() []Attack {
	return []Attack{
		postFromTheStreet(), shutPathByAnotherSpelling(), requestBehindAnother(), requestAtTheApplicationsPort(), requestsByAFalseConnector(),
		addressInTheTrail(), identityByHeader(), visitorByALinkToSignIn(), postByALink(),
	}
}
