// The second and third step of a new export, which its page shows too: policies, and the connection test.

import { useApi } from "../context.ts";
import { PoliciesOperation, TestOperation, type Connection, type ConnectionStatus, type Whole } from "../generated/api.ts";
import { text } from "../text.ts";
import { useAction, useLoad } from "../ui/load.ts";
import { Badge, CodeLink, CopyButton, Document, Problem, Show, Time, type Tone } from "../ui/parts.tsx";
import { Checks, useRunningChecks } from "./checks.tsx";

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

const TONES: Record<ConnectionStatus, Tone> = { SUCCESS: "good", FAILED: "bad", PENDING: "neutral" };

/** The connection test: a button, and each check as it ends with its result and, beside a cross, the fix. */
export function ConnectionTest({
    configuration,
    replace,
}: {
    configuration: Connection;
    replace: (configuration: Whole) => void;
}) {
    const api = useApi();
    const { id } = configuration;
    const [running, watch] = useRunningChecks(id);
    const test = useAction(async () => {
        replace((await watch(() => api.send(TestOperation, { id }))).configuration);
    });
    const checks = running ?? configuration.connectionChecks;
    const { connectionStatus: status, connectionCheckedAt: checkedAt, connectionError: error } = configuration;
    return (
        <div class="test">
            <div class="toolbar">
                <button type="button" class="primary" aria-disabled={test.isRunning} onClick={test.run}>
                    {text.connection.test}
                </button>
            </div>
            <p role="status">
                {test.isRunning ? (
                    text.connection.testing
                ) : (
                    <>
                        <Badge tone={TONES[status]}>{text.connection.state[status]}</Badge>
                        {checkedAt && (
                            <>
                                {" "}
                                {text.connection.testedAt} <Time value={checkedAt} />
                            </>
                        )}
                    </>
                )}
            </p>
            {test.error !== null && <Problem error={test.error} />}
            {/* A newer service may report an error without a failed check. */}
            {error && !test.isRunning && !checks.some(({ code }) => code !== null) && (
                <p class="notice bad">
                    {error.message} <CodeLink code={error.code} />
                </p>
            )}
            <Checks checks={checks} progress={!test.isRunning ? "ended" : running ? "known" : "unknown"} />
        </div>
    );
}
