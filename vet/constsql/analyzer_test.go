package constsql_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/constsql"
	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
)

func TestSQLIsConstant(t *testing.T) { // SYSTEM N4, G2
	vettest.Run(t, constsql.Analyzer, "constsql", "constsqlhelper")
}
