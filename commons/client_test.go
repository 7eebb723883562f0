package commons_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/internal/realclient"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// program is written against the client that a generator makes of our OpenAPI document. Each @ts-expect-error is a mistake that the
// compiler has to find, so that the document says it.
const program = `
import { deleteApiV1PostsId, getApiV1Posts, getApiV1PostsId, postApiV1Files, postApiV1Posts, type Post, type Problem } from './client/index.js';
import { client } from './client/client.gen.js';
import type { Auth } from './client/core/auth.gen.js';

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(name + ' is missing');
  return value;
}

function expect(what: string, got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(what + ': got ' + JSON.stringify(got) + ', want ' + JSON.stringify(want));
  }
  console.log('ok ' + what);
}

// The document offers a browser's session too, which a program leaves alone: a request with a cookie is held to be a page's.
function key(name: string) {
  return (offered: Auth) => (offered.type === 'http' ? given(name) : undefined);
}

client.setConfig({ baseUrl: given('ADDRESS'), auth: key('KEY') });

const written = await postApiV1Posts({ body: { body: 'From a generated client: é 💩' } });
expect('a post is published', written.response?.status, 201);
const post: Post = written.data!;
expect('it says what was sent', post.body, 'From a generated client: é 💩');

const read = await getApiV1PostsId({ path: { id: post.id } });
expect('it is read again', read.data?.body, post.body);

const list = await getApiV1Posts({ query: {} });
expect('it is in the list', list.data?.posts.some((one: Post) => one.id === post.id), true);

const refused = await postApiV1Posts({ body: { body: '' } });
const problem: Problem = refused.error!;
expect('an empty post is refused', problem.status, 422);
expect('by input', problem.refused_by, 'input');
expect('the field is named', problem.errors?.map(wrong => wrong.name), ['body']);

// @ts-expect-error a member that nobody declared
const unknown = await postApiV1Posts({ body: { body: 'x', author_id: post.id } });
expect('an unknown member is refused', unknown.error?.errors?.map(wrong => wrong.name), ['author_id']);

// @ts-expect-error a member is missing
const missing = await postApiV1Posts({ body: {} });
expect('a missing member is refused', missing.error?.errors?.map(wrong => wrong.detail), ['is required']);

// @ts-expect-error a member of another kind
const number = await postApiV1Posts({ body: { body: 1 } });
expect('a member of another kind is refused', number.error?.status, 422);

const picture = Buffer.from(given('PICTURE'), 'base64');
const stored = await postApiV1Files({ query: { name: 'picture.png' }, body: new Blob([picture], { type: 'image/png' }) });
expect('a file is uploaded', stored.response?.status, 201);

const text = await postApiV1Files({ body: new Blob(['<script>'], { type: 'image/png' }) });
expect('a file of another kind than allowed is refused', text.error?.refused_by, 'input');

const elsewhere = await getApiV1PostsId({ path: { id: given('FOREIGN') } });
expect('a post of another organization is not there', elsewhere.error?.status, 404);

const unable = await deleteApiV1PostsId({ path: { id: post.id }, auth: key('READER') });
expect('a key without the scope is refused', unable.error?.status, 403);

const nobody = await getApiV1Posts({ query: {}, auth: key('NOBODY') });
expect('a key that is none is refused', nobody.error?.status, 401);

const deleted = await deleteApiV1PostsId({ path: { id: post.id } });
expect('a post is deleted', deleted.response?.status, 204);
console.log('done');
`

// listening serves a world's application on loopback, to a client that believes to have found it under its own name.
func listening(t *testing.T, w *layertest.W) string {
	t.Helper()
	origin, err := url.Parse(layertest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Host = origin.Host
		w.Server.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// SYSTEM N1: a client that others generate from our document works against the running application, and what the document does not
// allow does not compile.
func TestAGeneratedClient(t *testing.T) {
	w := layertest.World(t, commons.App)
	alice, dave := w.Member("Acme"), w.Member("Globex")
	foreign := dave.Post("/api/v1/posts", map[string]string{"body": "of Globex"}).Created().ID
	document := alice.Get("/api/v1/openapi.json").OK().Body
	run := realclient.Client(t, t.TempDir(), document, []byte(program))
	out, err := run(t.Context(), "ADDRESS="+listening(t, w), "KEY="+alice.APIKey("posts:read", "posts:write", "files:write"), "READER="+alice.APIKey("posts:read"), "NOBODY=rdk_none", "FOREIGN="+foreign,
		"PICTURE="+base64.StdEncoding.EncodeToString(picture()))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if want := strings.Count(program, "expect('") + 1; len(lines) != want || !slices.Contains(lines, "done") {
		t.Errorf("got %d lines, want %d:\n%s", len(lines), want, out)
	}
}
