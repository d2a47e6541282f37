// The page: sign-in, header, and the view that the address names.

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";

import { PageContext } from "./context.ts";
import { showsUtc, showUtc, visible } from "./format.ts";
import { paths, routeOf, type Route } from "./route.ts";
import { useSession, type SessionState, type Start } from "./session/session.ts";
import type { Session } from "./session/token.ts";
import type { Settings } from "./settings.ts";
import { text } from "./text.ts";
import { Heading } from "./ui/parts.tsx";
import { mayLeave } from "./unsaved.ts";
import { Create } from "./views/create.tsx";
import { Detail } from "./views/detail.tsx";
import { Edit } from "./views/edit.tsx";
import { List } from "./views/list.tsx";

export function App({ settings, page, start }: { settings: Settings; page: string; start: Start }) {
    const state = useSession(settings, page, start);
    const { api, session, hasEnded, problem } = state;
    const route = useRoute();
    const [isUtc, setIsUtc] = useState(showsUtc);
    const toggleUtc = () => {
        showUtc(!isUtc);
        setIsUtc(!isUtc);
    };
    return (
        <PageContext.Provider value={{ api }}>
            <a class="skip" href="#main" onClick={(event) => focusMain(event)}>
                {text.skip}
            </a>
            <Header session={session} route={route} signOut={state.signOut}>
                <button type="button" class="small" aria-pressed={isUtc} onClick={toggleUtc}>
                    {text.inUtc}
                </button>
            </Header>
            <main id="main" tabIndex={-1}>
                {problem !== null && (
                    <p class="notice bad" role="alert">
                        {text.session.failed(problem)}
                    </p>
                )}
                {hasEnded && session !== null && (
                    <div class="notice warning" role="alert">
                        <p>
                            {text.failures.session} {settings.signIn && text.session.keeps}
                        </p>
                        {settings.signIn && (
                            <button type="button" aria-disabled={state.isSigningIn} onClick={state.signIn}>
                                {text.signIn}
                            </button>
                        )}
                        {state.portal && (
                            <button type="button" onClick={state.askPortal}>
                                {text.session.ask}
                            </button>
                        )}
                    </div>
                )}
                {session === null && needsSession(route) ? (
                    <SignIn settings={settings} state={state} page={page} />
                ) : (
                    <Guard key={JSON.stringify([state.turn, route])}>
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
        const listen = () => {
            // A token is taken out of the address elsewhere, and leaves the view as it is.
            if (location.hash.startsWith("#token=")) return;
            if (location.hash === hash) return;
            if (mayLeave()) setHash(location.hash);
            else history.replaceState(null, "", new URL(hash || "#/", location.href).href);
        };
        addEventListener("hashchange", listen);
        // The address may have changed before the listener was there.
        listen();
        return () => removeEventListener("hashchange", listen);
    }, [hash]);
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

function Header({
    session,
    route,
    signOut,
    children,
}: {
    session: Session | null;
    route: Route;
    signOut: () => void;
    children: ComponentChildren;
}) {
    const links = [
        { path: paths.list, name: text.exports, isHere: ["list", "create", "detail", "edit"].includes(route.view) },
        { path: paths.verify, name: text.verify, isHere: route.view === "verify" },
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
            <div class="session">
                {children}
                {session?.subject && (
                    <span title={session.issuer ?? ""}>{visible(text.signedInAs(session.subject, session.tenant))}</span>
                )}
                {session && (
                    <button type="button" class="small" onClick={signOut}>
                        {text.signOut}
                    </button>
                )}
            </div>
        </header>
    );
}

function SignIn({ settings, state, page }: { settings: Settings; state: SessionState; page: string }) {
    const isFramed = window.parent !== window;
    const isOffered = settings.portalOrigin !== null || settings.tokenInLink;
    return (
        <div class="card empty">
            <Heading>{text.session.heading}</Heading>
            {settings.signIn && !isFramed && (
                <>
                    <p>{text.session.byIssuer}</p>
                    <button type="button" class="primary" aria-disabled={state.isSigningIn} onClick={state.signIn}>
                        {text.signIn}
                    </button>
                </>
            )}
            {settings.signIn && isFramed && (
                // Providers refuse to be shown in a frame.
                <p>
                    <a href={page} target="_blank" rel="noopener">
                        {text.session.framed}
                    </a>
                </p>
            )}
            {state.portal === "waiting" && <p role="status">{text.session.asking}</p>}
            {(state.portal === "late" || state.portal === "signedOut") && (
                <div class="notice warning" role="status">
                    <p>
                        {state.portal === "late"
                            ? text.session.late(settings.portalOrigin ?? "")
                            : text.session.signedOut}
                    </p>
                    <button type="button" onClick={state.askPortal}>
                        {state.portal === "late" ? text.session.ask : text.signIn}
                    </button>
                </div>
            )}
            {!settings.signIn && !state.portal && <p>{isOffered ? text.session.byPortal : text.session.notSetUp}</p>}
            <p class="hint">{text.session.memory}</p>
        </div>
    );
}

function View({ route }: { route: Route }) {
    switch (route.view) {
        case "list":
            return <List />;
        case "create":
            return <Create id={route.id} />;
        case "detail":
            return <Detail key={route.id} id={route.id} />;
        case "edit":
            return <Edit key={route.id} id={route.id} />;
        case "codes":
            return <Later load={loadCodes} props={{ code: route.code }} />;
        case "verify":
            return <Later load={loadVerify} props={{}} />;
        default:
            return (
                <>
                    <Heading>{text.title}</Heading>
                    <p>{text.missing}</p>
                </>
            );
    }
}

const loadVerify = async () => (await import("./verification/view.tsx")).Verify;
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
