// Loading and actions, with their states.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export type Loaded<T> =
    | { readonly state: "loading" }
    | { readonly state: "failed"; readonly error: unknown }
    /** `error`: the reason why the value could not be loaded again; null if it is current. */
    | { readonly state: "ready"; readonly value: T; readonly error: unknown };

export type Loader<T> = Loaded<T> & { readonly reload: () => void; readonly replace: (value: T) => void };

/**
 * Loads a value when the view opens and whenever `key` changes, and again every `everySeconds` while the page is visible. What
 * was loaded stays until the next value is there.
 */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everySeconds = 0): Loader<T> {
    const [loaded, setLoaded] = useState<Loaded<T> & { key?: string }>({ state: "loading" });
    const [turn, setTurn] = useState(0);
    const current = useRef(load);
    current.current = load;
    const running = useRef<AbortController | null>(null);

    useEffect(() => {
        const abort = new AbortController();
        running.current = abort;
        const end = (next: (before: Loaded<T> & { key?: string }) => Loaded<T> & { key?: string }) => {
            if (abort.signal.aborted) return;
            running.current = null;
            setLoaded(next);
        };
        setLoaded((before) => (before.key === key ? before : { state: "loading" }));
        current.current(abort.signal).then(
            (value) => end(() => ({ state: "ready", value, key, error: null })),
            (error: unknown) =>
                end((before) =>
                    before.state === "ready" && before.key === key
                        ? { ...before, error }
                        : { state: "failed", error, key },
                ),
        );
        return () => abort.abort();
    }, [key, turn]);

    useEffect(() => {
        if (everySeconds <= 0) return undefined;
        // A request that takes longer than the interval is not repeated before it ends.
        const tick = () => document.hidden || running.current || setTurn((turn) => turn + 1);
        const timer = setInterval(tick, everySeconds * 1000);
        return () => clearInterval(timer);
    }, [key, everySeconds]);

    const reload = useCallback(() => {
        setLoaded((before) => (before.state === "failed" ? { state: "loading" } : before));
        setTurn((turn) => turn + 1);
    }, []);
    const replace = useCallback(
        (value: T) => {
            // What is on its way is older.
            running.current?.abort();
            running.current = null;
            setLoaded({ state: "ready", value, key, error: null });
        },
        [key],
    );
    // A value of another key is not shown.
    const shown: Loaded<T> = loaded.key === undefined || loaded.key === key ? loaded : { state: "loading" };
    return { ...shown, reload, replace };
}

export type Action<A extends unknown[]> = {
    readonly isRunning: boolean;
    readonly error: unknown;
    readonly run: (...parameters: A) => void;
    readonly forget: () => void;
};

/** An action that a person starts. A second start while it runs is ignored. */
export function useAction<A extends unknown[]>(act: (...parameters: A) => Promise<void>): Action<A> {
    const [state, setState] = useState<{ isRunning: boolean; error: unknown }>({ isRunning: false, error: null });
    const isRunning = useRef(false);
    const current = useRef(act);
    current.current = act;
    const run = useCallback((...parameters: A) => {
        if (isRunning.current) return;
        isRunning.current = true;
        setState({ isRunning: true, error: null });
        const end = (error: unknown) => {
            isRunning.current = false;
            setState({ isRunning: false, error });
        };
        current.current(...parameters).then(() => end(null), end);
    }, []);
    const forget = useCallback(() => setState((before) => ({ ...before, error: null })), []);
    return { ...state, run, forget };
}

/** The present, again every so many seconds. */
export function useNow(everySeconds: number): number {
    const [now, setNow] = useState(Date.now);
    useEffect(() => {
        const timer = setInterval(() => setNow(Date.now()), everySeconds * 1000);
        return () => clearInterval(timer);
    }, [everySeconds]);
    return now;
}
