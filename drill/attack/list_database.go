package attack

// database are attacks by whoever speaks SQL to the copy's database: as a role that was captured, mostly with the key of a living member.
func database() []Attack {
	return []Attack{
		anotherOrganizationsTrail(),
		theTrailRead(),
		theTrailPage(),
		theTrailRewritten(),
		theTrailForged(),
		aChangeWithoutATrace(),

		sqlReadsOrders(),
		sqlReadsPosts(),
		sqlReadsAView(),
		sqlReadsKeys(),
		sqlSetsTheContext(),
		sqlMakesASession(),
		sqlRaisesAMember(),
		sqlWidensARole(),
		sqlPlantsAProduct(),
		sqlDeletesAnOrder(),
		sqlDestroysOrders(),
		sqlChargesAColleague(),
		identityMakesASession(),
		identityRevivesASession(),
		theMigratorsPower(),
	}
}
