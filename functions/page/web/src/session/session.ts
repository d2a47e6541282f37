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
    /** Raised when a session of somebody else begins, or one ends on request: nothing of it may stay. */
    readonly turn: number;
    /** What the portal that surrounds or opened the page is doing. Null: there is none. */
    readonly portal: "waiting" | "late" | "signedOut" | null;
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
    const [portalState, setPortalState] = useState<SessionState["portal"]>(null);
    const [turn, setTurn] = useState(0);
    const isSignedOut = useRef(false);
    const current = useRef(session);
    const ended = useRef(false);
    ended.current = hasEnded;
    current.current = session;
    const portal = useRef<(() => void) | null>(null);
    const renewal = useRef(new Renewal());
    /** The last token that was taken again after its session had ended. */
    const retried = useRef<string | null>(null);
    const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

    const ask = () => {
        if (!portal.current) return;
        isSignedOut.current = false;
        setPortalState("waiting");
        portal.current();
        clearTimeout(waiting.current);
        waiting.current = setTimeout(() => setPortalState("late"), PORTAL_MILLISECONDS);
    };
    const api = useMemo(
        () =>
            new Api(
                `${page.slice(0, page.lastIndexOf("/"))}/${settings.api}`,
                () => (ended.current ? null : (current.current?.token ?? null)),
                (token) => {
                    // The answer may be about a token that was replaced meanwhile.
                    if (token !== current.current?.token) return;
                    setHasEnded(true);
                    if (renewal.current.ask(token, Date.now())) ask();
                },
            ),
        [page, settings],
    );

    /** Begins a session with a token that was handed over while the page is open. */
    const begin = (token: string, isFromLink: boolean) => {
        const before = current.current;
        if (!isFromLink && isSignedOut.current) return;
        // A portal that has no newer token returns the old one. The service may have refused it by mistake, but once.
        if (token === before?.token) {
            if (ended.current && token !== retried.current) setHasEnded(false);
            retried.current = token;
            return;
        }
        const next = sessionOf(token, settings.tenantClaim);
        if (next === null) return set([before, text.session.notAToken]);
        clearTimeout(waiting.current);
        const isOther = before !== null && before.identity !== next.identity;
        if (isOther && ((isFromLink && !confirm(text.session.replace)) || !mayLeave())) return;
        if (isOther) setTurn((turn) => turn + 1);
        set([next, null]);
        setHasEnded(false);
        setPortalState((state) => state && "waiting");
    };

    useEffect(() => {
        if (settings.portalOrigin === null) return;
        const surroundings = window as unknown as Surroundings;
        portal.current = connectToPortal(surroundings, settings.portalOrigin, (token) => begin(token, false));
        if (current.current === null) ask();
        else if (portal.current) setPortalState("waiting");
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
            const { signInAddress } = await import("./oidc.ts");
            const address = await signInAddress(settings.signIn, page, isSignedOut.current);
            if (session !== null) keepForms(session.identity);
            location.assign(address);
        } catch (error) {
            set(([session]) => [session, error instanceof Error ? error.message : String(error)]);
            setIsSigningIn(false);
        }
    };
    const signOut = () => {
        if (!mayLeave()) return;
        isSignedOut.current = true;
        clearTimeout(waiting.current);
        setTurn((turn) => turn + 1);
        set([null, null]);
        setHasEnded(false);
        setPortalState((state) => state && "signedOut");
    };
    return {
        api,
        session,
        hasEnded,
        problem,
        isSigningIn,
        turn,
        portal: portalState,
        signIn: () => void signIn(),
        signOut,
        askPortal: ask,
    };
}
