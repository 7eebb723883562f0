package tidy

// lists is everything that the rules admit by name. Each entry has its reason; an entry that nothing needs is a fault.
type lists struct {
	mint    map[use]string    // who may use which door of layer/internal/mint; "(test)" for tests alone
	hatches map[use]string    // who may use what goes around a layer
	simple  map[use]string    // who may use PostgreSQL's simple protocol
	modules map[use]string    // who may import which module of others; "(test)" for tests alone
	long    map[string]string // files that are long because a table is
}

const (
	pgx      = "github.com/jackc/pgx/v5"
	jose     = "github.com/go-jose/go-jose/v4"
	oidc     = "github.com/coreos/go-oidc/v3"
	oauth2   = "golang.org/x/oauth2"
	json     = "github.com/go-json-experiment/json"
	cobra    = "github.com/spf13/cobra"
	chromedp = "github.com/chromedp/chromedp"
	cdproto  = "github.com/chromedp/cdproto"
	xnet     = "golang.org/x/net"
	xtools   = "golang.org/x/tools"
	ximage   = "golang.org/x/image"
	xsys     = "golang.org/x/sys"
	ssrf     = "code.dny.dev/ssrf"
	minio    = "github.com/minio/minio-go/v7"
	monday   = "github.com/microcosm-cc/bluemonday"
	oracle   = "github.com/santhosh-tekuri/jsonschema/v6"

	xtime     = "golang.org/x/time"
	cedar     = "github.com/cedar-policy/cedar-go"
	acmez     = "github.com/mholt/acmez/v3"
	quic      = "github.com/quic-go/quic-go"
	websocket = "github.com/coder/websocket"
)

var written = lists{
	mint: map[use]string{
		{"layer", "Facts"}:                            "is the content of a Principal, which layer declares",
		{"layer", "Principal"}:                        "installs the door: mint cannot import layer",
		{"layer", "Credential"}:                       "installs the door: mint cannot import layer",
		{"layer/identity", "Facts"}:                   "writes down what it has verified",
		{"layer/identity", "Principal"}:               "makes Principals, and is the only one that does",
		{"layer/identity", "Credential"}:              "finds a session in its store again, to end it, to switch it and for the page gate",
		{"layer/rls", "Credential"}:                   "presents the caller's credential to the database",
		{"layer/rls", "Gate"}:                         "asks for it at the door to a transaction that writes",
		{"layer/gate/action", "Gate"}:                 "holds it, and so is the only way to such a transaction",
		{"layer/gate/route", "Facts" + forTests}:      "makes callers of every kind, to be refused",
		{"layer/gate/route", "Principal" + forTests}:  "makes callers of every kind, to be refused",
		{"layer/gate/page", "Facts" + forTests}:       "makes callers of every kind, to be refused",
		{"layer/gate/page", "Principal" + forTests}:   "makes callers of every kind, to be refused",
		{"layer/gate/action", "Facts" + forTests}:     "makes callers of every kind, to be refused",
		{"layer/gate/action", "Principal" + forTests}: "makes callers of every kind, to be refused",
	},
	hatches: map[use]string{
		{"command", "InsecureSignIn"}:                   "fills a development database in the name of people whom its own provider knows",
		{"layer/layertest", "InsecureSignIn"}:           "signs people of tests in without a provider",
		{"layer/layertest", "InsecureWithoutPerimeter"}: "asks the layers inside without an edge, in tests",
		{"bench", "InsecureSignIn"}:                     "signs the people of a measurement in without a provider",
		{"bench", "InsecureWithoutPerimeter"}:           "measures the layers inside by themselves",
		{"command", "InsecureLoopback"}:                 "sends the mail of a development system to where up catches it, on this machine alone",
		{"command", "internal/devmail"}:                 "catches the mail of a development system, on this machine alone",
		{"command", "internal/devidp"}:                  "runs the development provider, on this machine alone",
		{"layer/rls", "InsecureSkipVerify"}:             "refuses a connection that has it",
		{"layer/perimeter/enrol", "InsecureSkipVerify"}: "asks no public authority about the link's ends: VerifyConnection holds them against the deployment's own, and its pins",
		{"drill/attack", "InsecureSkipVerify"}:          "is an attacker's own connector, who does not care whom it has reached",
		{"drill", "drill/knockout"}:                     "takes layers out of disposable copies, and tells what came of it",
		{"drill/target", "drill/knockout"}:              "starts a disposable copy without them",
		{"command", "InsecureRemote"}:                   "hands on what the operator of a connector chose by a flag of that name",
	},
	simple: map[use]string{
		{"backbone/migrate", "PgConn().Exec"}: "runs migrations, which are files of several statements, embedded and without parameters",
		{"command", "PgConn().Exec"}:          "spreads an example over the days before, by an application's own constant script, in a development database",
		{"drill/target", "PgConn().Exec"}:     "says what takes a mechanism out, several constant statements at a time, to a disposable database",
		{"layer/rls", "PgConn().Exec"}:        "sends one constant word, rollback, on a connection whose state is not known",
	},
	modules: map[use]string{
		{"backbone/migrate", pgx}:  "talks to PostgreSQL",
		{"command", pgx}:           "makes the database that up uses",
		{"internal/pgtest", pgx}:   "makes the databases of tests",
		{"internal/postgres", pgx}: "asks a new server whether it answers",
		{"layer/layertest", pgx}:   "gives tests connections of each role, to try what a thief of its password would",
		{"bench", pgx}:             "measures the ways without Redoubt that it is compared with",
		{"layer/identity", pgx}:    "has a pool and a role of its own, so that identity does not believe what rls believes",
		{"layer/rls", pgx}:         "talks to PostgreSQL; its batches carry credential and statement in one round trip",

		{"internal/devidp", jose}:         "signs the tokens of the development provider",
		{"layer/identity/signon", jose}:   "verifies tokens beside go-oidc, so that either can refuse",
		{"layer/identity/signon", oidc}:   "verifies tokens and finds the provider's keys",
		{"layer/identity/signon", oauth2}: "exchanges the code; go-oidc speaks its types",

		{"layer/identity/signon", json}: "refuses a token's member that is there twice",
		{"layer/input", json}:           "refuses duplicate and wrongly spelled members and invalid UTF-8, which the standard decoder takes",

		{"drill", pgx}:                            "asks a copy's catalogs which tables hold rows of tenants, and looks at what was done to them",
		{"drill", cobra}:                          "reads the command line and writes its help",
		{"drill", "golang.org/x/term"}:            "tells a person at a terminal from a program",
		{"drill/flags", "github.com/spf13/pflag"}: "names the drill's flags once, for the two programs that take them",
		{"drill/target", pgx}:                     "is a thief's connection to a copy's database, and the eyes that see what was done",
		{"drill/attack", pgx}:                     "types a thief's SQL",
		{"drill/attack", chromedp}:                "attacks people in a real browser",
		{"drill/attack", cdproto}:                 "puts a person's cookies into it",
		{"drill/knockout", pgx}:                   "looks whether what was taken out of a database is out",
		{"drill/picture", chromedp + forTests}:    "looks at the pictures in a real browser",
		{"drill/picture", cdproto + forTests}:     "sets the browser's size and colour scheme",

		{"command", cobra}:               "reads the command line and writes its help",
		{"command", "golang.org/x/term"}: "tells a person at a terminal from a program",
		{"layer/perimeter/trust", "github.com/smallstep/truststore"}: "knows the trust stores of systems and browsers",

		{"layer/transport", chromedp + forTests}: "asks a real browser whether the policy holds",
		{"internal/browser", chromedp}:           "starts a real browser for tests",
		{"command", chromedp + forTests}:         "goes through a day of a person's in a real browser",
		{"command", cdproto + forTests}:          "sets the browser's size",
		{"layer/layertest", xnet}:                "reads the forms of pages, for tests that press their buttons",
		{"vet", xtools}:                          "reads Go as the compiler does, which no text search can",
		{"vet/constsql", xtools}:                 "is an analyzer, in the form that go vet runs",
		{"vet/forgedprincipal", xtools}:          "is an analyzer, in the form that go vet runs",
		{"vet/gatefirst", xtools}:                "is an analyzer, in the form that go vet runs",
		{"vet/insecureconfig", xtools}:           "is an analyzer, in the form that go vet runs",
		{"vet/logsecret", xtools}:                "is an analyzer, in the form that go vet runs",
		{"vet/rawhtml", xtools}:                  "is an analyzer, in the form that go vet runs",
		{"vet/routeaccess", xtools}:              "is an analyzer, in the form that go vet runs",
		{"vet/unscoped", xtools}:                 "is an analyzer, in the form that go vet runs",
		{"vet/internal/source", xtools}:          "answers analyzers' questions about types",
		{"vet/internal/vettest", xtools}:         "runs an analyzer over cases",
		{"layer/rls/inspect", pgx}:               "asks the catalogs of a database that may be a stranger's",
		{"layer/rls/dialect", pgx}:               "asks the catalogs what another engine would make of a schema",
		{"commons", pgx + forTests}:              "types the attacks' SQL by hand, with a stolen password",
		{"commons/web", chromedp + forTests}:     "looks at the pages in a real browser",
		{"commons/web", cdproto + forTests}:      "sets the browser's size and colour scheme",
		{"commons/web", xnet + forTests}:         "reads pages as a tree instead of as text",

		{"command", "github.com/pelletier/go-toml/v2"}:                                      "reads the edge's configuration, and shows where it is wrong",
		{"layer/perimeter/assertion", jose}:                                                 "signs and verifies the edge's word on whom it let in",
		{"layer/perimeter/access", oidc}:                                                    "verifies tokens and finds providers' keys, for a sign-on that shares nothing with identity's",
		{"layer/perimeter/access", oauth2}:                                                  "exchanges the code; go-oidc speaks its types",
		{"layer/perimeter/access", xtime}:                                                   "bounds how often somebody may try",
		{"layer/perimeter/access", chromedp + forTests}:                                     "looks at the gate's pages in a real browser",
		{"layer/perimeter/access", cdproto + forTests}:                                      "sets the browser's size and colour scheme",
		{"layer/perimeter/access/policy", cedar}:                                            "decides by policies: permit and forbid, by default nothing",
		{"layer/perimeter/access/policy", "golang.org/x/text"}:                              "folds the letters that careless applications take for each other",
		{"layer/perimeter/access/cloudflare", cedar}:                                        "reads the policies that are said in other words",
		{"layer/perimeter/certificate/acme", acmez}:                                         "speaks ACME (RFC 8555)",
		{"layer/perimeter/certificate/acme", "github.com/letsencrypt/pebble/v2" + forTests}: "is the authority of the tests, by those who run the largest one",
		{"layer/perimeter/certificate/acme", "github.com/miekg/dns" + forTests}:             "is the DNS in which the tests' authority looks",
		{"layer/perimeter/edge", "github.com/prometheus/client_golang"}:                     "counts, in the form that operators' tools read",
		{"layer/perimeter/edge", xtime}:                                                     "bounds how often an address may ask",
		{"layer/perimeter/edge", xnet + forTests}:                                           "writes HTTP/2 frames that no honest client sends",
		{"layer/perimeter/edge", quic + forTests}:                                           "asks a whole edge by HTTP/3",
		{"layer/perimeter/edge", websocket + forTests}:                                      "is a client and an application that change their protocol",
		{"layer/perimeter/edge/http3", quic}:                                                "speaks QUIC and HTTP/3",
		{"layer/perimeter/edge/http3", "github.com/quic-go/qpack" + forTests}:               "writes heads that no honest client sends",
		{"layer/perimeter/enrol", xtime}:                                                    "bounds how often a stranger may try to enrol",
		{"layer/perimeter/origin", websocket + forTests}:                                    "is a client of an application that changes its protocol",

		{"commons", xnet + forTests}:                                      "reads pages back as a browser would, to find that stored text is unchanged",
		{"layer/input", oracle + forTests}:                                "judges values by the documents that we emit, as a stranger to our validator",
		{"layer/input/egress", ssrf}:                                      "judges addresses at the moment of connecting, by a table that is not ours",
		{"layer/input/egress", xnet}:                                      "knows which letters a host name may have, and how they are spelled in ASCII",
		{"layer/input/egress/unfurl", xnet}:                               "reads the head of a page of somebody else's, token by token",
		{"layer/input/file/picture", ximage}:                              "decodes WebP, and resizes the frames of animations",
		{"layer/input/file/sandbox", xsys}:                                "sets the limits and the filter of a worker, for which the standard library has no calls",
		{"layer/input/file/sandbox", xnet + forTests}:                     "runs the filter as the kernel would",
		{"layer/input/file/store", minio}:                                 "speaks S3",
		{"layer/input/richtext", "github.com/yuin/goldmark"}:              "reads Markdown",
		{"layer/input/richtext/clean", monday}:                            "cleans on save, by another engine than the one on render",
		{"layer/input/richtext/render", xnet}:                             "reads HTML as a browser would",
		{"layer/input/richtext", monday + forTests}:                       "is measured twice, as what one would do instead",
		{"layer/input/richtext", xnet + forTests}:                         "reads what was cleaned as a browser would",
		{"layer/input/richtext", chromedp + forTests}:                     "shows every payload to a real browser",
		{"bench/picture", "github.com/disintegration/imaging" + forTests}: "is what ours is measured beside",
	},
	long: map[string]string{},
}
