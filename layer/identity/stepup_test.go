package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/identity"
)

func TestALevelThatNobodyCouldMeetIsNoConfiguration(t *testing.T) { // SYSTEM I6
	many := map[string][]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = []string{"urn:x"}
	}
	for _, c := range []struct {
		levels map[string][]string
		want   string
		faulty bool
	}{
		{map[string][]string{"mfa": {"urn:two"}}, "Levels", false},
		{nil, "Levels", false},
		{map[string][]string{"mfa": nil}, `Levels["mfa"] needs a name and acr values`, true},
		{map[string][]string{"mfa": {""}}, `Levels["mfa"] needs a name and acr values`, true},
		{map[string][]string{"": {"urn:two"}}, `Levels[""] needs a name and acr values`, true},
		{many, "Levels has more than 50", true},
	} {
		_, err := identity.Open(t.Context(), identity.Config{Levels: c.levels}) // which is refused for other reasons too
		if err == nil || strings.Contains(err.Error(), c.want) != c.faulty {
			t.Errorf("%v: got %v", c.levels, err)
		}
	}
}
