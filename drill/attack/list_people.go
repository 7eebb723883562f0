package attack

func people() []Attack {
	return []Attack{
		postWithoutASession(),
		sessionAfterSignOut(), sessionOfAStoppedMember(), sessionAfterItsEnd(), sessionFromAnotherPlace(), sessionPlantedBeforeSignIn(),
		sessionByAStolenCode(), sessionByAForgedLogout(), sessionEndedByAnother(), browserByTheAttackersSignIn(),
		organizationBySigningInAgain(), organizationUninvited(), organizationBySwitching(), invitationOfSomebodyElse(),
		membersByAnothersDirectory(), memberWithoutAProof(), administrationByRewrittenClaims(), administratorsPageByAnotherSpelling(),
		machineWithoutASignature(),
	}
}
