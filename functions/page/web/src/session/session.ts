// The session of the page: where its token comes from, and what happens when it ends.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { Api } from "../api/client.ts";
import type { Settings } from "../settings.ts";
import { text } from "../text.ts";
import { keepForms, mayLeave, takeForms } from "../unsaved.ts";
import { connectToPortal, type Surroundings } from "./portal.ts";
import { Renewal, sessionOf, takeTokenFromFragment, type Session } from "./token.ts";

/** How the page begins: with a token, after a sign-in that failed, or with neither. */
export type Start = {
    readonly token: string | null;
    readonly isFromLink: boolean;
    readonly problem: string | null;
};

/** The time that a portal has to answer before the page says so. */
const PORTAL_MILLISECONDS = 10_000;

export type SessionState = {
    readonly api: Api;
    readonly session: Session | null;
    /** The service no longer accepts the token. What is shown stays. */
    readonly hasEnded: boolean;
    readonly problem: string | null;
    readonly isSigningIn: boolean;
    /** A portal surrounds or opened the page. */
    readonly hasPortal: boolean;
    readonly isPortalLate: boolean;
    readonly signIn: () => void;
    readonly signOut: () => void;
    readonly askPortal: () => void;
};

/** Returns the session at the start: a link may be refused, and what was handed over may be no token. */
function first(settings: Settings, { token, isFromLink, problem }: Start): [Session | null, string | null] {
    if (token === null) return [null, problem];
    if (isFromLink && !settings.tokenInLink) return [null, text.session.notInLinks];
    const session = sessionOf(token, settings.tenantClaim);
    if (session !== null && !isFromLink) takeForms(session.identity);
    return [session, session === null ? text.session.notAToken : null];
}

export function useSession(settings: Settings, page: string, start: Start): SessionState {
    const [[session, problem], set] = useState(() => first(settings, start));
    const [hasEnded, setHasEnded] = useState(false);
    const [isSigningIn, setIsSigningIn] = useState(false);
    const [isPortalLate, setIsPortalLate] = useState(false);
    const [hasPortal, setHasPortal] = useState(false);
    const current = useRef(session);
    const ended = useRef(false);
    ended.current = hasEnded;
    current.current = session;
    const portal = useRef<(() => void) | null>(null);
    const renewal = useRef(new Renewal());
    const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

    const ask = () => {
        if (!portal.current) return;
        setIsPortalLate(false);
        portal.current();
        clearTimeout(waiting.current);
        waiting.current = setTimeout(() => setIsPortalLate(true), PORTAL_MILLISECONDS);
    };
    const api = useMemo(
        () =>
            new Api(
                `${page.slice(0, page.lastIndexOf("/"))}/${settings.api}`,
                () => (ended.current ? null : (current.current?.token ?? null)),
                () => {
                    setHasEnded(true);
                    if (renewal.current.ask(current.current?.token ?? null, Date.now())) ask();
                },
            ),
        [page, settings],
    );

    /** Begins a session with a token that was handed over while the page is open. */
    const begin = (token: string, isFromLink: boolean) => {
        const before = current.current;
        // A portal that has no newer token returns the old one.
        if (token === before?.token) return;
        const next = sessionOf(token, settings.tenantClaim);
        if (next === null) return set([before, text.session.notAToken]);
        clearTimeout(waiting.current);
        const isOther = before !== null && before.identity !== next.identity;
        if (isOther && ((isFromLink && !confirm(text.session.replace)) || !mayLeave())) return;
        set([next, null]);
        setHasEnded(false);
        setIsPortalLate(false);
    };

    useEffect(() => {
        if (settings.portalOrigin === null) return;
        const surroundings = window as unknown as Surroundings;
        portal.current = connectToPortal(surroundings, settings.portalOrigin, (token) => begin(token, false));
        setHasPortal(portal.current !== null);
        if (current.current === null) ask();
    }, [settings]);

    useEffect(() => {
        // A link with a token may be followed while the page is open.
        const listen = () => {
            const token = takeTokenFromFragment(location, history);
            if (token === null) return;
            if (settings.tokenInLink) begin(token, true);
            else set(([session]) => [session, text.session.notInLinks]);
        };
        addEventListener("hashchange", listen);
        // It may have been followed before the listener was there.
        listen();
        return () => removeEventListener("hashchange", listen);
    }, [settings]);

    useEffect(() => {
        // The person may come back from the issuer to this page as it was.
        const listen = () => setIsSigningIn(false);
        addEventListener("pageshow", listen);
        return () => removeEventListener("pageshow", listen);
    }, []);

    useEffect(() => {
        if (session === null) return undefined;
        const delay = renewal.current.delay(session, Date.now());
        if (delay === null) return undefined;
        const timer = setTimeout(() => renewal.current.ask(session.token, Date.now()) && ask(), delay);
        return () => clearTimeout(timer);
    }, [session]);

    const signIn = async () => {
        if (!settings.signIn || isSigningIn) return;
        setIsSigningIn(true);
        try {
            const address = await (await import("./oidc.ts")).signInAddress(settings.signIn, page);
            if (session !== null) keepForms(session.identity);
            location.assign(address);
        } catch (error) {
            set(([session]) => [session, error instanceof Error ? error.message : String(error)]);
            setIsSigningIn(false);
        }
    };
    return {
        api,
        session,
        hasEnded,
        problem,
        isSigningIn,
        hasPortal,
        isPortalLate,
        signIn: () => void signIn(),
        signOut: () => mayLeave() && set([null, null]),
        askPortal: ask,
    };
}
