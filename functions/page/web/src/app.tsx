// The page: sign-in, header, and the view that the address names.

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useErrorBoundary, useMemo, useRef, useState } from "preact/hooks";

import { Api } from "./api/client.ts";
import { PageContext } from "./context.ts";
import { paths, routeOf, type Route } from "./route.ts";
import { connectToPortal, type Surroundings } from "./session/portal.ts";
import { sessionOf, takeTokenFromFragment, type Session } from "./session/token.ts";
import type { Settings } from "./settings.ts";
import { text } from "./text.ts";
import { Heading } from "./ui/parts.tsx";
import { Create } from "./views/create.tsx";
import { Detail } from "./views/detail.tsx";
import { Edit } from "./views/edit.tsx";
import { List } from "./views/list.tsx";

/** How the page begins: with a token that was handed over, after a sign-in that failed, or with neither. */
export type Start = { readonly token: string | null; readonly problem: string | null };

export function App({ settings, page, start }: { settings: Settings; page: string; start: Start }) {
    const [session, setSession] = useState<Session | null>(() =>
        start.token === null ? null : sessionOf(start.token),
    );
    const [hasEnded, setHasEnded] = useState(false);
    const [problem, setProblem] = useState(
        start.problem ?? (start.token !== null && sessionOf(start.token) === null ? text.session.notAToken : null),
    );
    const token = useRef<string | null>(null);
    token.current = hasEnded ? null : (session?.token ?? null);
    const askPortal = useRef<(() => void) | null>(null);
    const api = useMemo(
        () =>
            new Api(
                `${page.slice(0, page.lastIndexOf("/"))}/${settings.api}`,
                () => token.current,
                () => {
                    setHasEnded(true);
                    askPortal.current?.();
                },
            ),
        [page, settings],
    );

    const begin = (received: string) => {
        const next = sessionOf(received);
        if (next !== null) {
            setSession(next);
            setHasEnded(false);
        }
        setProblem(next === null ? text.session.notAToken : null);
    };

    useEffect(() => {
        if (settings.portalOrigin === null) return;
        askPortal.current = connectToPortal(window as unknown as Surroundings, settings.portalOrigin, begin);
        if (token.current === null) askPortal.current?.();
    }, [settings]);

    useEffect(() => {
        // A link with a token may be followed while the page is open.
        const listen = () => {
            const received = takeTokenFromFragment(location, history);
            if (received !== null) begin(received);
        };
        addEventListener("hashchange", listen);
        return () => removeEventListener("hashchange", listen);
    }, []);

    useEffect(() => {
        if (session?.expiresAt == null) return undefined;
        // A timer of a browser has at most 2^31 milliseconds.
        const milliseconds = Math.min(session.expiresAt - Date.now() - 60_000, 2 ** 31 - 1);
        const timer = setTimeout(() => askPortal.current?.(), Math.max(0, milliseconds));
        return () => clearTimeout(timer);
    }, [session]);

    const signIn = async () => {
        if (!settings.signIn) return;
        try {
            await (await import("./session/oidc.ts")).signIn(settings.signIn, page);
        } catch (error) {
            setProblem(error instanceof Error ? error.message : String(error));
        }
    };
    const route = useRoute();
    return (
        <PageContext.Provider value={{ api }}>
            <a class="skip" href="#main" onClick={(event) => focusMain(event)}>
                {text.skip}
            </a>
            <Header session={session} route={route} signOut={() => setSession(null)} />
            <main id="main" tabIndex={-1}>
                {problem !== null && (
                    <p class="notice bad" role="alert">
                        {text.session.failed(problem)}
                    </p>
                )}
                {hasEnded && session !== null && (
                    <div class="notice warning" role="alert">
                        <p>{text.failures.session}</p>
                        {settings.signIn && (
                            <button type="button" onClick={() => void signIn()}>
                                {text.signIn}
                            </button>
                        )}
                    </div>
                )}
                {session === null && needsSession(route) ? (
                    <SignIn settings={settings} signIn={() => void signIn()} />
                ) : (
                    <Guard key={JSON.stringify([session === null ? "" : `${session.issuer} ${session.subject}`, route])}>
                        <View route={route} />
                    </Guard>
                )}
            </main>
        </PageContext.Provider>
    );
}

function focusMain(event: MouseEvent): void {
    event.preventDefault();
    document.getElementById("main")?.focus();
}

/** The route of the address, as it changes. */
function useRoute(): Route {
    const [hash, setHash] = useState(location.hash);
    useEffect(() => {
        const listen = () => location.hash.startsWith("#token=") || setHash(location.hash);
        addEventListener("hashchange", listen);
        return () => removeEventListener("hashchange", listen);
    }, []);
    return routeOf(hash);
}

/** Shows a sentence in place of a view that fails because of a fault of the page. */
function Guard({ children }: { children: ComponentChildren }) {
    const [error] = useErrorBoundary();
    return error ? <p class="notice bad">{text.failures.fault}</p> : <>{children}</>;
}

/** Codes are public, and files are verified without the service. */
function needsSession({ view }: Route): boolean {
    return view !== "codes" && view !== "verify";
}

function Header({ session, route, signOut }: { session: Session | null; route: Route; signOut: () => void }) {
    const links = [
        { path: paths.list, name: text.exports, isHere: ["list", "create", "detail", "edit"].includes(route.view) },
        { path: paths.codes, name: text.codes, isHere: route.view === "codes" },
    ];
    return (
        <header>
            <p class="brand">{text.title}</p>
            <nav aria-label={text.navigation}>
                <ul>
                    {links.map(({ path, name, isHere }) => (
                        <li key={path}>
                            <a href={path} {...(isHere && { "aria-current": "page" as const })}>
                                {name}
                            </a>
                        </li>
                    ))}
                </ul>
            </nav>
            {session && (
                <div class="session">
                    {session.subject && <span title={session.issuer ?? ""}>{text.signedInAs(session.subject)}</span>}
                    <button type="button" class="small" onClick={signOut}>
                        {text.signOut}
                    </button>
                </div>
            )}
        </header>
    );
}

function SignIn({ settings, signIn }: { settings: Settings; signIn: () => void }) {
    return (
        <div class="card empty">
            <Heading>{text.session.heading}</Heading>
            {settings.signIn ? (
                <>
                    <p>{text.session.byIssuer}</p>
                    <button type="button" class="primary" onClick={signIn}>
                        {text.signIn}
                    </button>
                </>
            ) : (
                <p role="status">
                    {settings.portalOrigin !== null && (window.parent !== window || window.opener !== null)
                        ? text.session.asking
                        : text.session.byPortal}
                </p>
            )}
            <p class="hint">{text.session.memory}</p>
        </div>
    );
}

function View({ route }: { route: Route }) {
    switch (route.view) {
        case "list":
            return <List />;
        case "create":
            return <Create />;
        case "detail":
            return <Detail key={route.id} id={route.id} />;
        case "edit":
            return <Edit key={route.id} id={route.id} />;
        case "codes":
            return <Later load={loadCodes} props={{ code: route.code }} />;
        default:
            return (
                <>
                    <Heading>{text.title}</Heading>
                    <p>{text.missing}</p>
                </>
            );
    }
}

const loadCodes = async () => (await import("./views/codes.tsx")).Codes;

/** A view whose code is loaded when it opens. */
function Later<P extends object>({ load, props }: { load: () => Promise<ComponentType<P>>; props: P }) {
    const [loaded, setLoaded] = useState<{ view: ComponentType<P> } | "failed" | null>(null);
    useEffect(() => {
        load().then(
            (view) => setLoaded({ view }),
            () => setLoaded("failed"),
        );
    }, [load]);
    // After an upgrade of the service, the files of the page that is open are gone.
    if (loaded === "failed") return <p class="notice bad">{text.failures.outdated}</p>;
    if (!loaded) {
        return (
            <p class="loading" role="status">
                {text.loading}
            </p>
        );
    }
    return <loaded.view {...props} />;
}
