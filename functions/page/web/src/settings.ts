// The settings that the stack gives to the page.

export type SignInSettings = {
    readonly issuer: string;
    readonly clientId: string;
    readonly scopes: string;
    readonly audience: string | null;
};

export type Settings = {
    /** The place of the GraphQL API, relative to the page. */
    readonly api: string;
    readonly signIn: SignInSettings | null;
    readonly portalOrigin: string | null;
    /** Whether a link may have a token in its fragment. */
    readonly tokenInLink: boolean;
    /** The claim with the tenant: a name or a JSON Pointer. */
    readonly tenantClaim: string;
};

/** Returns the address of the page without a slash at its end, to which relative addresses are joined. */
export function pageAddress(location: { origin: string; pathname: string }): string {
    return location.origin + location.pathname.replace(/\/+$/, "");
}

export async function loadSettings(page: string): Promise<Settings> {
    const response = await fetch(`${page}/settings.json`, { credentials: "omit", redirect: "error" });
    if (!response.ok) throw new Error(`settings.json: ${response.status}`);
    return (await response.json()) as Settings;
}
