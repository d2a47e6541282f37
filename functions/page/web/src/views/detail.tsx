// One export: how it is doing, its windows, and everything that can be done with it.

import { useState } from "preact/hooks";

import { useApi } from "../context.ts";
import { labelOfList, LISTS, SIDES } from "../form.ts";
import { count, duration, relative } from "../format.ts";
import {
    BacklogOperation,
    DeleteOperation,
    DisableOperation,
    EnableOperation,
    ExportOperation,
    RunOperation,
    SigningKeysOperation,
    TestNotificationsOperation,
    type Job,
    type Whole,
} from "../generated/api.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { TextField } from "../ui/field.tsx";
import { useAction, useLoad, useNow } from "../ui/load.ts";
import {
    Badge,
    Dialog,
    Document,
    Fact,
    Facts,
    Fix,
    Heading,
    OptionalTime,
    Problem,
    Section,
    Show,
    Time,
} from "../ui/parts.tsx";
import { ConnectionTest, Policies } from "./access.tsx";
import { HEALTH_TONES, nameOf, placeOf } from "./list.tsx";
import { Repairs, Replays } from "./repairs.tsx";
import { LagChart, useWindows, Windows } from "./windows.tsx";

/** The seconds between two looks at an export, and at one with something in progress. */
const [CALM, BUSY] = [60, 10];

export function Detail({ id }: { id: string }) {
    const api = useApi();
    const [isBusy, setIsBusy] = useState(false);
    const loaded = useLoad(
        `export ${id}`,
        async (signal) => {
            const { configuration } = await api.send(ExportOperation, { id }, signal);
            setIsBusy(configuration.requestedRunThrough !== null);
            return configuration;
        },
        isBusy ? BUSY : CALM,
    );
    const name = loaded.state === "ready" ? nameOf(loaded.value) : text.exports;
    return (
        <>
            <Heading>{name}</Heading>
            <Show loaded={loaded}>
                {(configuration) => (
                    <>
                        <Status configuration={configuration} />
                        <Actions configuration={configuration} replace={loaded.replace} />
                        <History configuration={configuration} everySeconds={isBusy ? BUSY : CALM} />
                        <Section heading={text.connection.heading}>
                            <ConnectionTest configuration={configuration} replace={loaded.replace} />
                            <NextSteps configuration={configuration} />
                            <details class="more">
                                <summary>{text.policies.heading}</summary>
                                <Policies id={id} version={configuration.version} />
                            </details>
                        </Section>
                        <Notices configuration={configuration} />
                        <Settings configuration={configuration} />
                        <Repairs configuration={configuration} />
                        <Replays configuration={configuration} />
                        <Verify configuration={configuration} />
                    </>
                )}
            </Show>
        </>
    );
}

function Status({ configuration }: { configuration: Whole }) {
    const { status } = configuration;
    const now = useNow(30);
    return (
        <div class="card status">
            <p>
                <Badge tone={HEALTH_TONES[status.health]}>{text.health[status.health]}</Badge> {status.advice}
            </p>
            <Facts>
                <Fact name={text.detail.lag}>
                    {status.lagSeconds === 0 ? text.detail.onTime : text.detail.lagText(duration(status.lagSeconds))}
                </Fact>
                <Fact name={text.detail.nextExport}>
                    {status.nextExportAt === null ? (
                        text.none
                    ) : (
                        <>
                            {relative(status.nextExportAt, now)} (<Time value={status.nextExportAt} />)
                        </>
                    )}
                </Fact>
                <Fact name={text.detail.exportedThrough}>
                    <OptionalTime value={status.exportedThrough} />
                </Fact>
                <Fact name={text.detail.lastSuccess}>
                    <OptionalTime value={status.lastSuccessAt} />
                </Fact>
                {status.consecutiveFailures > 0 && (
                    <Fact name={text.detail.failures}>{count(status.consecutiveFailures)}</Fact>
                )}
            </Facts>
        </div>
    );
}

function useBacklog(id: string) {
    const api = useApi();
    return useLoad(`backlog ${id}`, async (signal) => {
        const { configuration } = await api.send(BacklogOperation, { id }, signal);
        return configuration.backlog;
    });
}

function backlogText(loaded: ReturnType<typeof useBacklog>): string {
    if (loaded.state === "loading") return text.detail.backlogCounting;
    if (loaded.state === "failed" || loaded.value === null) return text.detail.backlogUnknown;
    const { events, isComplete } = loaded.value;
    return events === 0 && isComplete ? text.detail.backlogNone : text.detail.backlog(count(events), isComplete);
}

/** What waits, how late the export is and was, and its windows. */
function History({ configuration, everySeconds }: { configuration: Whole; everySeconds: number }) {
    const windows = useWindows(configuration.id, everySeconds);
    return (
        <>
            <Backlog configuration={configuration} jobs={windows.jobs} />
            <Windows windows={windows} />
        </>
    );
}

function Backlog({ configuration, jobs }: { configuration: Whole; jobs: readonly Job[] }) {
    const loaded = useBacklog(configuration.id);
    const { retentionUsedPercent: used, lagSeconds } = configuration.status;
    const width = Math.min(100, used);
    return (
        <Section
            heading={text.detail.backlogHeading}
            actions={
                <button type="button" class="small" onClick={loaded.reload}>
                    {text.refresh}
                </button>
            }
        >
            <p role="status">
                <strong>{backlogText(loaded)}</strong>
            </p>
            {loaded.state === "ready" && loaded.value?.oldest && (
                <p>
                    {text.detail.backlogOldest} <Time value={loaded.value.oldest} />.
                </p>
            )}
            <LagChart jobs={jobs} lag={lagSeconds} />
            <svg
                class="meter"
                viewBox="0 0 100 6"
                preserveAspectRatio="none"
                role="img"
                aria-label={text.detail.retentionText(used)}
            >
                <rect class="track" x="0" y="0" width="100" height="6" />
                <rect
                    class={used >= 50 ? "bad" : used >= 25 ? "warning" : "good"}
                    x="0"
                    y="0"
                    width={width}
                    height="6"
                />
            </svg>
            <p class="hint">{text.detail.retentionText(used)}</p>
        </Section>
    );
}

type Question = "disable" | "remove" | null;

function Actions({ configuration, replace }: { configuration: Whole; replace: (configuration: Whole) => void }) {
    const api = useApi();
    const { id } = configuration;
    const [question, setQuestion] = useState<Question>(null);
    const change = useAction(
        async (operation: typeof EnableOperation | typeof DisableOperation | typeof RunOperation) => {
            replace((await api.send(operation, { id })).configuration);
        },
    );
    return (
        <div>
            <div class="toolbar" role="group" aria-label={text.detail.actionsHeading}>
                <a class="button" href={paths.edit(id)}>
                    {text.detail.edit}
                </a>
                {configuration.enabled && (
                    <button type="button" aria-disabled={change.isRunning} onClick={() => change.run(RunOperation)}>
                        {text.detail.run}
                    </button>
                )}
                {/* One button for both, so that it keeps the focus. */}
                <button
                    type="button"
                    aria-disabled={change.isRunning}
                    onClick={() => (configuration.enabled ? setQuestion("disable") : change.run(EnableOperation))}
                >
                    {configuration.enabled ? text.detail.disable : text.detail.enable}
                </button>
                <button type="button" class="danger" onClick={() => setQuestion("remove")}>
                    {text.detail.remove}
                </button>
            </div>
            <p role="status">
                {configuration.requestedRunThrough !== null && (
                    <>
                        {text.detail.running} <Time value={configuration.requestedRunThrough} />.
                    </>
                )}
            </p>
            {change.error !== null && <Problem error={change.error} />}
            {question === "disable" && (
                <Disable
                    configuration={configuration}
                    close={() => setQuestion(null)}
                    disable={() => {
                        setQuestion(null);
                        change.run(DisableOperation);
                    }}
                />
            )}
            {question === "remove" && <Remove configuration={configuration} close={() => setQuestion(null)} />}
        </div>
    );
}

function Disable({ configuration, close, disable }: { configuration: Whole; close: () => void; disable: () => void }) {
    const backlog = useBacklog(configuration.id);
    return (
        <Dialog heading={text.detail.disableHeading} close={close}>
            <p>{text.detail.disableLoss}</p>
            <p role="status">{text.detail.removeBacklog(backlogText(backlog))}</p>
            <div class="toolbar">
                <button type="button" class="danger" onClick={disable}>
                    {text.detail.disable}
                </button>
                <button type="button" onClick={close}>
                    {text.cancel}
                </button>
            </div>
        </Dialog>
    );
}

function Remove({ configuration, close }: { configuration: Whole; close: () => void }) {
    const api = useApi();
    const backlog = useBacklog(configuration.id);
    const [typed, setTyped] = useState("");
    const { bucketName } = configuration.endpointConfiguration;
    const isConfirmed = typed === bucketName;
    const remove = useAction(async () => {
        await api.send(DeleteOperation, { id: configuration.id });
        location.hash = paths.list;
    });
    return (
        <Dialog heading={text.detail.removeHeading} close={close}>
            <p>{text.detail.removeLoss}</p>
            <p role="status">{text.detail.removeBacklog(backlogText(backlog))}</p>
            <form
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    if (isConfirmed) remove.run();
                }}
            >
                <TextField
                    name="confirm"
                    label={text.detail.removeConfirm(bucketName)}
                    value={typed}
                    set={(value) => setTyped(value.trim())}
                    isCode
                />
                {remove.error !== null && <Problem error={remove.error} />}
                <div class="toolbar">
                    <button type="submit" class="danger" disabled={!isConfirmed} aria-disabled={remove.isRunning}>
                        {text.detail.remove}
                    </button>
                    <button type="button" onClick={close}>
                        {text.cancel}
                    </button>
                </div>
            </form>
        </Dialog>
    );
}

function NextSteps({ configuration }: { configuration: Whole }) {
    const steps = configuration.nextSteps;
    if (steps.length === 0 || configuration.connectionStatus === "SUCCESS") return null;
    return (
        <>
            <h3>{text.connection.next}</h3>
            <ol>
                {steps.map(({ code, instruction }) => (
                    <li key={code}>{instruction}</li>
                ))}
            </ol>
        </>
    );
}

function Notices({ configuration }: { configuration: Whole }) {
    const api = useApi();
    const [results, setResults] = useState<
        readonly {
            url: string;
            isDelivered: boolean;
            status: number | null;
            error: { code: string; message: string } | null;
        }[]
    >([]);
    const test = useAction(async () => {
        setResults([]);
        setResults((await api.send(TestNotificationsOperation, { id: configuration.id })).results);
    });
    const hooks = configuration.notifications;
    return (
        <Section heading={text.detail.noticesHeading}>
            {hooks.length === 0 ? (
                <p>{text.detail.noticesNone}</p>
            ) : (
                <>
                    <ul class="plain" aria-live="polite">
                        {hooks.map(({ url }) => {
                            const result = results.find((result) => result.url === url);
                            return (
                                <li key={url}>
                                    <code class="break">{url}</code>{" "}
                                    {result && (
                                        <Badge tone={result.isDelivered ? "good" : "bad"}>
                                            {result.isDelivered ? text.detail.delivered : text.detail.notDelivered}
                                            {result.status !== null && ` (${result.status})`}
                                        </Badge>
                                    )}
                                    {result?.error && <Fix error={result.error} />}
                                </li>
                            );
                        })}
                    </ul>
                    <div class="toolbar">
                        <button type="button" aria-disabled={test.isRunning} onClick={test.run}>
                            {text.detail.testNotices}
                        </button>
                    </div>
                    {test.error !== null && <Problem error={test.error} />}
                </>
            )}
        </Section>
    );
}

function Settings({ configuration }: { configuration: Whole }) {
    const at = configuration.endpointConfiguration;
    const code = (value: string) => <code class="break">{value}</code>;
    return (
        <Section heading={text.detail.settings}>
            <Facts>
                <Fact name={text.list.bucket}>{code(placeOf(configuration))}</Fact>
                <Fact name={text.form.region}>{code(at.region)}</Fact>
                {at.endpointUrl && <Fact name={text.detail.endpoint}>{code(at.endpointUrl)}</Fact>}
                {at.roleArn && <Fact name={text.detail.role}>{code(at.roleArn)}</Fact>}
                {at.accessKeyId && <Fact name={text.detail.accessKey}>{code(at.accessKeyId)}</Fact>}
                {configuration.principalArn && (
                    <Fact name={text.connection.writer}>{code(configuration.principalArn)}</Fact>
                )}
                {at.roleArn && <Fact name={text.policies.externalId}>{code(configuration.externalId)}</Fact>}
                <Fact name={text.detail.encryption}>
                    {at.kmsKeyArn ? code(at.kmsKeyArn) : text.detail.bucketDefault}
                </Fact>
                {at.expectedBucketOwner && <Fact name={text.detail.owner}>{code(at.expectedBucketOwner)}</Fact>}
                <Fact name={text.form.interval}>{text.interval[configuration.interval]}</Fact>
                <Fact name={text.form.format}>
                    {text.format[configuration.format]}
                    {configuration.ocsf && ` ${configuration.ocsf.version}`}
                </Fact>
                <Fact name={text.form.filter}>
                    <FilterText configuration={configuration} />
                </Fact>
                <Fact name={text.detail.start}>
                    <Time value={configuration.startFrom} />
                </Fact>
                <Fact name={text.detail.created}>
                    <Time value={configuration.createdAt} /> {text.detail.by(configuration.createdBy)}
                </Fact>
                <Fact name={text.detail.changed}>
                    <Time value={configuration.updatedAt} /> {text.detail.by(configuration.updatedBy)}
                </Fact>
                <Fact name={text.detail.version}>{count(configuration.version)}</Fact>
            </Facts>
        </Section>
    );
}

function FilterText({ configuration }: { configuration: Whole }) {
    const { filter } = configuration;
    if (!filter) return <>{text.form.filterAll}</>;
    const sides = SIDES.flatMap((side) =>
        LISTS.flatMap((list) => {
            const values = filter[side]?.[list];
            return values ? [text.form.filterValues(labelOfList(side, list), values)] : [];
        }),
    );
    return (
        <ul class="plain">
            {sides.map((side) => (
                <li key={side}>{side}</li>
            ))}
        </ul>
    );
}

function Verify({ configuration }: { configuration: Whole }) {
    const api = useApi();
    const loaded = useLoad("keys", async (signal) => (await api.send(SigningKeysOperation, {}, signal)).keys);
    return (
        <Section heading={text.detail.verifyHeading}>
            <p class="hint">{text.detail.verifyHint}</p>
            <Show loaded={loaded}>
                {(keys) => (
                    <>
                        <h3>{text.detail.publicKey}</h3>
                        <Document
                            content={keys.map(({ publicKey }) => publicKey.trimEnd()).join("\n") + "\n"}
                            name="digests.pem"
                            what={text.detail.publicKey}
                        />
                        <h3>{text.detail.command}</h3>
                        <Document content={verifyCommand(configuration)} what={text.detail.command} />
                    </>
                )}
            </Show>
        </Section>
    );
}

/** The command that verifies an export. Names of buckets, paths, Regions and servers have no character that a shell reads. */
function verifyCommand(configuration: Whole): string {
    const { endpointUrl, region } = configuration.endpointConfiguration;
    const server = endpointUrl ? ` --endpoint-url '${endpointUrl}' --region '${region}'` : "";
    return `audit-export verify '${placeOf(configuration).replaceAll("'", "'\\''")}/${configuration.id}' --public-key digests.pem --deep${server}`;
}
