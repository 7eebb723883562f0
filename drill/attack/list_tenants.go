package attack

// tenants are attacks on what belongs to another organization, or within one to somebody else: data, roles and money.
func tenants() []Attack {
	return []Attack{
		anotherOrganizationsOrder(),
		anotherOrganizationsOrderPage(),
		anotherOrganizationsOrdersListed(),
		anotherOrganizationsMembers(),
		anotherOrganizationsOrderCancelled(),
		anotherOrganizationsPostRewritten(),
		anotherOrganizationsPostDeleted(),
		anotherOrganizationsPostCommented(),
		anotherOrganizationsPostMarked(),
		anotherOrganizationsProductBought(),
		anotherOrganizationsAnswer(),

		aColleaguesOrder(),
		aColleaguesBookmarks(),
		aColleaguesPostRewritten(),
		aColleaguesPostDeleted(),
		aColleagueStopped(),
		aDraftCourse(),
		aCourseBegun(),
		theMembersAddresses(),
		theAdministratorsRole(),
		aReadingKeyWrites(),
		aRevokedKey(),
		aStoppedMembersKey(),
		aDemotedMembersKey(),
		aGuestWrites(),

		aColleaguesOrderCancelled(),
		anOrderPaidByAWord(),
		anOrderShippedUnpaid(),
		aPaidOrderCancelled(),
		aRaceOfTwo(),
		lessThanNothing(),
		aPriceOfOnesOwn(),
	}
}
