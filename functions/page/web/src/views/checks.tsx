// The checks of a connection test: of a running one as they end, and of the last one with their results.

import { useState } from "preact/hooks";

import type { Api } from "../api/client.ts";
import { useApi } from "../context.ts";
import { ConnectionTestOperation, type Check, type ConnectionCheckStatus } from "../generated/api.ts";
import { text } from "../text.ts";
import { Badge, CodeLink, type Tone } from "../ui/parts.tsx";

const TONES: Record<ConnectionCheckStatus, Tone> = { PASSED: "good", FAILED: "bad", NOT_CHECKED: "neutral" };
const POLL_MILLISECONDS = 500;

/**
 * Returns the checks of the test that runs during a watched request, and a function that watches one. Null: no test is running,
 * or its progress is not known.
 */
export function useRunningChecks(id: string) {
    const api = useApi();
    const [checks, setChecks] = useState<readonly Check[] | null>(null);
    const watch = async <T,>(request: () => Promise<T>): Promise<T> => {
        const end = new AbortController();
        void follow(api, id, end.signal, setChecks);
        try {
            return await request();
        } finally {
            end.abort();
            setChecks(null);
        }
    };
    return [checks, watch] as const;
}

/** Shows the checks of a running test twice a second until `signal`. If they can't be read, the outcome alone is shown. */
async function follow(api: Api, id: string, signal: AbortSignal, show: (checks: readonly Check[]) => void) {
    for (;;) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
        if (signal.aborted) return;
        try {
            const { test } = await api.send(ConnectionTestOperation, { id }, signal);
            // An answer that came after the outcome is older than it.
            if (!signal.aborted && test.isRunning) show(test.checks);
        } catch {
            return;
        }
    }
}

/** `progress`: whether the test has ended, or how far it is. If that is unknown, every check waits. */
export function Checks({
    checks,
    progress,
}: {
    checks: readonly Check[];
    progress: "ended" | "known" | "unknown";
}) {
    const current = progress === "known" ? checks.findIndex(({ status }) => status === "NOT_CHECKED") : -1;
    return (
        <ul class="checks" aria-label={text.connection.checks} aria-live="polite" aria-relevant="text additions">
            {checks.map((check, index) => {
                const isShown = progress === "ended" || (progress === "known" && check.status !== "NOT_CHECKED");
                return (
                    <li key={check.check}>
                        {isShown ? (
                            <Badge tone={TONES[check.status]}>{text.connection.status[check.status]}</Badge>
                        ) : (
                            <Badge tone="neutral">
                                {index === current ? text.connection.running : text.connection.waiting}
                            </Badge>
                        )}
                        <div>
                            <span>{check.title}</span>
                            {isShown && check.status === "FAILED" && (
                                <p class="fix">
                                    {check.message} {check.code && <CodeLink code={check.code} />}
                                </p>
                            )}
                        </div>
                    </li>
                );
            })}
        </ul>
    );
}
