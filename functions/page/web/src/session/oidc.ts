// Sign-in with OpenID Connect: the authorization code flow with PKCE. Loaded only where an issuer is configured.

import * as oauth from "oauth4webapi";

import type { SignInSettings } from "../settings.ts";

/** What has to survive the redirect to the issuer. It is no token, and is removed when the user returns. */
type Pending = { state: string; verifier: string; nonce: string; hash: string };
const PENDING = "audit-export.sign-in";

function options(settings: SignInSettings) {
    // Only a stack for development accepts such an issuer.
    return settings.issuer.startsWith("http:") ? { [oauth.allowInsecureRequests]: true } : {};
}

async function discover(settings: SignInSettings): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(settings.issuer);
    const response = await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...options(settings) });
    return oauth.processDiscoveryResponse(issuer, response);
}

/** Leaves the page for the issuer's. `page` is the redirect URI. */
export async function signIn(settings: SignInSettings, page: string): Promise<void> {
    const server = await discover(settings);
    if (!server.authorization_endpoint) throw new Error("The issuer has no authorization endpoint.");
    const pending: Pending = {
        state: oauth.generateRandomState(),
        verifier: oauth.generateRandomCodeVerifier(),
        nonce: oauth.generateRandomNonce(),
        hash: location.hash,
    };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const url = new URL(server.authorization_endpoint);
    url.searchParams.set("response_type", "code");
    url.searchParams.set("client_id", settings.clientId);
    url.searchParams.set("redirect_uri", page);
    url.searchParams.set("scope", settings.scopes);
    url.searchParams.set("state", pending.state);
    url.searchParams.set("code_challenge", await oauth.calculatePKCECodeChallenge(pending.verifier));
    url.searchParams.set("code_challenge_method", "S256");
    if (isOpenId(settings)) url.searchParams.set("nonce", pending.nonce);
    if (settings.audience) url.searchParams.set("audience", settings.audience);
    location.assign(url);
}

/** Returns the access token if the issuer has sent the user back with a code, and null if not. */
export async function returnFromIssuer(settings: SignInSettings, page: string): Promise<string | null> {
    const stored = sessionStorage.getItem(PENDING);
    const parameters = new URLSearchParams(location.search);
    if (!parameters.has("state")) return null;
    if (stored === null) {
        // The address was opened again, or from elsewhere: its code is not for this window.
        history.replaceState(null, "", location.pathname + location.hash);
        return null;
    }
    sessionStorage.removeItem(PENDING);
    const pending = JSON.parse(stored) as Pending;
    history.replaceState(null, "", location.pathname + pending.hash);

    const server = await discover(settings);
    const client: oauth.Client = { client_id: settings.clientId };
    const validated = oauth.validateAuthResponse(server, client, parameters, pending.state);
    const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        oauth.None(),
        validated,
        page,
        pending.verifier,
        options(settings),
    );
    const result = await oauth.processAuthorizationCodeResponse(
        server,
        client,
        response,
        isOpenId(settings) ? { expectedNonce: pending.nonce, requireIdToken: true } : {},
    );
    return result.access_token;
}

function isOpenId(settings: SignInSettings): boolean {
    return settings.scopes.split(" ").includes("openid");
}
