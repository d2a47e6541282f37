// Sign-in with OpenID Connect: the authorization code flow with PKCE. Loaded only where an issuer is configured.

import * as oauth from "oauth4webapi";

import type { SignInSettings } from "../settings.ts";
import { text } from "../text.ts";

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

/** Returns the address at the issuer where the user signs in. `page` is the redirect URI; `asks`: not without being asked. */
export async function signInAddress(settings: SignInSettings, page: string, asks: boolean): Promise<URL> {
    const server = await discover(settings);
    if (!server.authorization_endpoint) throw new Error(text.session.noEndpoint);
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
    if (asks) url.searchParams.set("prompt", "login");
    if (settings.audience) url.searchParams.set("audience", settings.audience);
    return url;
}

/** Returns the access token if the issuer has sent the user back with a code, and null if not. */
export async function returnFromIssuer(settings: SignInSettings, page: string): Promise<string | null> {
    const stored = sessionStorage.getItem(PENDING);
    const parameters = new URLSearchParams(location.search);
    if (!parameters.has("state") && !parameters.has("error")) return null;
    if (stored === null) {
        // The address was opened again, or from elsewhere: its code is not for this window.
        replaceAddress(location.hash);
        return null;
    }
    sessionStorage.removeItem(PENDING);
    const pending = JSON.parse(stored) as Pending;
    replaceAddress(pending.hash);
    const refusal = refusalOf(parameters);
    if (refusal !== null) throw new Error(refusal);

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

/** Removes what the issuer has added to the address. */
function replaceAddress(hash: string): void {
    const address = new URL(location.href);
    address.search = "";
    address.hash = hash;
    history.replaceState(null, "", address.href);
}

/** Returns the issuer's own words about a refusal. They come from the address, so they are shown as a quotation. */
function refusalOf(parameters: URLSearchParams): string | null {
    const error = parameters.get("error");
    if (error === null) return null;
    if (error === "access_denied") return text.session.cancelled;
    const description = parameters.get("error_description");
    return description === null ? error.slice(0, 100) : `${error.slice(0, 100)} (“${description.slice(0, 300)}”)`;
}

function isOpenId(settings: SignInSettings): boolean {
    return settings.scopes.split(" ").includes("openid");
}
