// A provider that we did not write, as a test wants it: oidc-provider, started with the configuration that comes as one line of
// standard input, and ended with standard input. Whoever asks decides by a hint who signs in: what is tested is the protocol, and not
// a form. It listens on this machine alone.
import http from 'node:http'
import readline from 'node:readline'
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'

const line = await new Promise((resolve) => readline.createInterface({ input: process.stdin }).once('line', resolve))
const config = JSON.parse(line)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))

function key(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options)
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: `key-of-${alg}` }
}

const people = new Map(config.people.map((one) => [one.subject, one]))

const server = http.createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  clients: config.clients,
  acrValues: ['pwd', 'mfa'],
  claims: {
    iss: null, sid: null, openid: ['sub', 'acr', 'amr', 'auth_time'],
    profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'],
  },
  conformIdTokenClaims: config.lean,
  cookies: { keys: ['of no importance: it ends with the test'] },
  features: {
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    jwtUserinfo: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    userinfo: { enabled: true },
  },
  fetch: (address, { dispatcher, ...options }) => fetch(address, options), // its own way refuses loopback, where the tests are
  findAccount(ctx, id) {
    const one = people.get(id)
    return one && {
      accountId: id,
      claims: () => ({ sub: id, name: one.name, email: one.email, email_verified: one.email_verified, groups: one.groups }),
    }
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [
    key('RS256', 'rsa', { modulusLength: 2048 }), key('ES256', 'ec', { namedCurve: 'P-256' }), key('EdDSA', 'ed25519', {}),
  ] },
  rotateRefreshToken: true,
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA', 'PS256'], userinfoSigningAlgValues: ['RS256', 'ES256'] },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 3600, IdToken: 300, Interaction: 600, RefreshToken: 3600, Session: 3600 },
})

async function interact(req, res) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res)
  if (prompt.name === 'login') {
    const person = params.login_hint
    if (!people.has(person)) return res.writeHead(403).end('nobody')
    const strong = (params.acr_values ?? '').split(' ').includes('mfa')
    return provider.interactionFinished(req, res,
      { login: { accountId: person, acr: strong ? 'mfa' : 'pwd', amr: strong ? ['pwd', 'otp', 'mfa'] : ['pwd'] } })
  }
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
}

// Groups change while people are signed in: PUT /people/SUBJECT/groups with a JSON list.
async function regroup(req, res) {
  let body = ''
  for await (const chunk of req) body += chunk
  const one = people.get(req.url.split('/')[2])
  if (!one) return res.writeHead(404).end()
  one.groups = JSON.parse(body)
  return res.writeHead(204).end()
}

server.on('request', (req, res) => {
  if (req.url.startsWith('/interaction/')) return interact(req, res).catch((err) => res.writeHead(500).end(String(err)))
  if (req.method === 'PUT' && req.url.startsWith('/people/')) return regroup(req, res)
  return provider.callback()(req, res)
})
console.log(JSON.stringify({ issuer }))
