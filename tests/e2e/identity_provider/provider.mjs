// A real OpenID provider for test_identity.py. Prints its issuer when it is ready.
//
// A resource decides on the algorithm of its access tokens and on their tenant: urn:audit-export:RS256:acme.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const KEYS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  EdDSA: ['ed25519', {}],
  Ed25519: ['ed25519', {}],
};

const jwks = {
  keys: Object.entries(KEYS).map(([alg, [type, options]]) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `key-${alg}`,
  })),
};

const server = createServer();
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  jwks,
  clients: [{
    client_id: 'producer', client_secret: 'a-secret-of-the-tests', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [],
  }, {
    client_id: 'backend', client_secret: 'a secret & "more" = 100 %+', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post',
  }],
  extraTokenClaims: (ctx) => ({ app_metadata: { tenant: ctx.oidc.params.resource.split(':')[3] } }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        accessTokenFormat: 'jwt',
        audience: 'audit-export',
        jwt: { sign: { alg: resource.split(':')[2] } },
        scope: 'audit:read audit:write',
      }),
    },
  },
  scopes: ['openid', 'audit:read', 'audit:write'],
});

server.on('request', provider.callback());
console.log(issuer);
