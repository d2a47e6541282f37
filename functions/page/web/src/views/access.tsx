// The second and third step of a new export, which its page shows too: policies, and the connection test.

import { useState } from "preact/hooks";

import type { Api } from "../api/client.ts";
import { useApi } from "../context.ts";
import {
    ConnectionTestOperation,
    PoliciesOperation,
    TestOperation,
    type Check,
    type Connection,
    type ConnectionCheckStatus,
    type Whole,
} from "../generated/api.ts";
import { text } from "../text.ts";
import { useAction, useLoad } from "../ui/load.ts";
import { Badge, CodeLink, CopyButton, Document, Problem, Show, Time, type Tone } from "../ui/parts.tsx";

const POLICIES = ["trustPolicy", "iamPolicy", "bucketPolicy", "kmsKeyPolicyStatement"] as const;

/** The policies, ready to use. `replayBucketPath`: they also allow replays under this path. */
export function Policies({
    id,
    version,
    replayBucketPath,
}: {
    id: string;
    version: number;
    replayBucketPath?: string;
}) {
    const api = useApi();
    const loaded = useLoad(`policies ${id} ${version} ${replayBucketPath ?? ""}`, async (signal) => {
        const { policies } = await api.send(
            PoliciesOperation,
            { id, replayBucketPath: replayBucketPath ?? null },
            signal,
        );
        return policies;
    });
    return (
        <Show loaded={loaded}>
            {(policies) => {
                const { launchUrl: url } = policies.cloudFormation;
                const launchUrl = url?.startsWith("https://") ? url : null;
                return (
                <>
                    {launchUrl && (
                        <div class="launch">
                            <p>
                                <a
                                    class="button"
                                    href={launchUrl}
                                    target="_blank"
                                    rel="noopener noreferrer"
                                >
                                    {text.policies.launch}
                                </a>
                            </p>
                            <p class="hint">{text.policies.launchHint}</p>
                            <p>{text.policies.launchDone}</p>
                        </div>
                    )}
                    {!launchUrl && <p>{text.policies.manual}</p>}
                    {policies.principalArn === null && <p class="hint">{text.policies.unknownPrincipal}</p>}
                    {policies.trustPolicy && (
                        <p>
                            {text.policies.externalId}: <code>{policies.externalId}</code>{" "}
                            <CopyButton value={policies.externalId} what={text.policies.externalId} />
                        </p>
                    )}
                    <ol class="policies">
                        {POLICIES.map((name) => {
                            const policy = policies[name];
                            if (!policy) return null;
                            return (
                                <li key={name}>
                                    <h3>
                                        {text.policies[name]}{" "}
                                        <span class="soft">
                                            ({policy.isRequired ? text.policies.required : text.policies.notRequired})
                                        </span>
                                    </h3>
                                    <p>{policy.instruction}</p>
                                    <Document
                                        content={policy.document}
                                        name={`${name}.json`}
                                        what={text.policies[name]}
                                    />
                                </li>
                            );
                        })}
                    </ol>
                    {policies.cloudFormation.parameters.length > 0 && (
                        <details class="more">
                            <summary>{text.policies.parameters}</summary>
                            <dl class="facts">
                                {policies.cloudFormation.parameters.map(({ name, value }) => (
                                    <div key={name}>
                                        <dt>{name}</dt>
                                        <dd>
                                            <code>{value}</code>
                                        </dd>
                                    </div>
                                ))}
                            </dl>
                        </details>
                    )}
                </>
                );
            }}
        </Show>
    );
}

const TONES: Record<ConnectionCheckStatus, Tone> = { PASSED: "good", FAILED: "bad", NOT_CHECKED: "neutral" };
const POLL_MILLISECONDS = 500;

/** The connection test: a button, and each check as it ends with its result and, beside a cross, the fix. */
export function ConnectionTest({
    configuration,
    replace,
}: {
    configuration: Connection;
    replace: (configuration: Whole) => void;
}) {
    const api = useApi();
    // Null: no test is running, or its progress is not known.
    const [running, setRunning] = useState<readonly Check[] | null>(null);
    const test = useAction(async () => {
        const { id } = configuration;
        const end = new AbortController();
        void follow(api, id, end.signal, setRunning);
        try {
            replace((await api.send(TestOperation, { id })).configuration);
        } finally {
            end.abort();
            setRunning(null);
        }
    });
    const checks = running ?? configuration.connectionChecks;
    const current = checks.findIndex(({ status }) => status === "NOT_CHECKED");
    const isComplete = !test.isRunning;
    return (
        <div class="test">
            <div class="toolbar">
                <button type="button" class="primary" aria-disabled={test.isRunning} onClick={test.run}>
                    {text.connection.test}
                </button>
            </div>
            <p role="status">
                {test.isRunning && text.connection.testing}
                {isComplete && configuration.connectionStatus === "SUCCESS" && (
                    <Badge tone="good">{text.connection.works}</Badge>
                )}
                {isComplete && configuration.connectionStatus === "FAILED" && (
                    <Badge tone="bad">{text.connection.fails}</Badge>
                )}
                {isComplete && configuration.connectionStatus === "PENDING" && (
                    <Badge tone="neutral">{text.connection.pending}</Badge>
                )}
                {isComplete && configuration.connectionCheckedAt && (
                    <>
                        {" "}
                        {text.connection.testedAt} <Time value={configuration.connectionCheckedAt} />
                    </>
                )}
            </p>
            {test.error !== null && <Problem error={test.error} />}
            {configuration.connectionError && isComplete && !checks.some(({ code }) => code !== null) && (
                <div class="notice bad">
                    <p>{configuration.connectionError.message}</p>
                    <p>
                        <CodeLink code={configuration.connectionError.code} />
                    </p>
                </div>
            )}
            <ul class="checks" aria-label={text.connection.checks} aria-live="polite" aria-relevant="text additions">
                {checks.map((check, index) => {
                    const isShown = isComplete || (running !== null && check.status !== "NOT_CHECKED");
                    return (
                        <li key={check.check}>
                            {isShown ? (
                                <Badge tone={TONES[check.status]}>{text.connection.status[check.status]}</Badge>
                            ) : (
                                <Badge tone="neutral">
                                    {running && index === current ? text.connection.running : text.connection.waiting}
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
        </div>
    );
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
