// A partner's backend on openid-client, and its app on a device. Prints what came of it as JSON.
//
//   node partner.mjs SANDBOX_JSON DEVICE
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import * as client from 'openid-client'

const [description, name] = process.argv.slice(2)
const sandbox = JSON.parse(await readFile(description, 'utf8'))
const device = sandbox.devices.find((each) => each.name === name)
const bank = sandbox.clients[0]
const scope = bank.scopes.join(' ')

const key = await crypto.subtle.importKey(
  'jwk',
  bank.private_jwk,
  { name: 'ECDSA', namedCurve: bank.private_jwk.crv },
  false,
  ['sign'],
)
const config = await client.discovery(
  new URL(sandbox.issuer),
  bank.client_id,
  { id_token_signed_response_alg: 'ES256', redirect_uris: [bank.redirect_uri] },
  client.PrivateKeyJwt({ key, kid: bank.private_jwk.kid }),
  // Everything is on this machine. The signature of the ID token is checked all the same, against the JWKS.
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
)

// The device's own connection: its source address is who it is.
function openOnDevice(url) {
  return new Promise((resolve, reject) => {
    request(url, { localAddress: device.address }, (answer) => {
      answer.resume()
      resolve(new URL(answer.headers.location))
    })
      .on('error', reject)
      .end()
  })
}

async function authorize() {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: bank.redirect_uri,
    scope,
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const callback = await openOnDevice(url)
  return { callback, checks: { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true } }
}

const redeem = ({ callback, checks }) => client.authorizationCodeGrant(config, callback, checks)

async function call(token, method, path, body) {
  const headers = new Headers(body ? { 'content-type': 'application/json' } : {})
  const url = new URL(`${sandbox.api_root}/number-verification/v2${path}`)
  try {
    const answer = await client.fetchProtectedResource(config, token, url, method, body && JSON.stringify(body), headers)
    return { status: answer.status, body: await answer.json() }
  } catch (error) {
    // openid-client reads WWW-Authenticate and throws it.
    if (error instanceof client.WWWAuthenticateChallengeError) {
      return { status: error.status, challenge: error.cause[0] }
    }
    throw error
  }
}

async function errorOf(promise) {
  try {
    await promise
    return null
  } catch (error) {
    return { type: error.constructor.name, error: error.error ?? error.code }
  }
}

async function story() {
  const authorization = await authorize()
  if (!authorization.callback.searchParams.has('code')) {
    return { refused: await errorOf(redeem(authorization)) }
  }
  const tokens = await redeem(authorization)
  const claims = tokens.claims()
  const verified = await call(tokens.access_token, 'POST', '/verify', { phoneNumber: device.phone_number })
  const again = await call(tokens.access_token, 'POST', '/verify', { phoneNumber: device.phone_number })
  const shared = await call((await redeem(await authorize())).access_token, 'GET', '/device-phone-number')
  const replayed = await errorOf(redeem(authorization))
  return { claims, expires_in: tokens.expires_in, refresh_token: tokens.refresh_token ?? null, verified, again, shared, replayed }
}

console.log(JSON.stringify(await story()))
