// Repairs and replays, with their progress.

import { useState } from "preact/hooks";

import { Failure } from "../api/client.ts";
import { useApi } from "../context.ts";
import { bytes, count } from "../format.ts";
import {
    CancelReplayOperation,
    ReplaysOperation,
    RepairOperation,
    RequestRepairOperation,
    RequestReplayOperation,
    type ExportRepairStatus,
    type ExportReplayStatus,
    type Repair,
    type Replay,
    type Whole,
} from "../generated/api.ts";
import { bucketPath } from "../rules.ts";
import { text } from "../text.ts";
import { TextField } from "../ui/field.tsx";
import { useAction, useLoad } from "../ui/load.ts";
import { Badge, CodeLink, Fact, Facts, Problem, Section, Show, Time, type Tone } from "../ui/parts.tsx";
import { Policies } from "./access.tsx";
import { isNotFound } from "./windows.tsx";

const SECONDS_IN_PROGRESS = 5;
const REPAIR_TONES: Record<ExportRepairStatus, Tone> = {
    PENDING: "neutral",
    RUNNING: "neutral",
    SUCCEEDED: "good",
    INCOMPLETE: "warning",
    FAILED: "bad",
    ABANDONED: "bad",
};
const REPLAY_TONES: Record<ExportReplayStatus, Tone> = {
    PENDING: "neutral",
    RUNNING: "neutral",
    SUCCEEDED: "good",
    FAILED: "bad",
    CANCELLED: "neutral",
};

function isRunning(status: ExportRepairStatus | ExportReplayStatus): boolean {
    return status === "PENDING" || status === "RUNNING";
}

/** Returns a local time of a browser's field in UTC, or null if it is not complete. */
function utc(local: string): string | null {
    const time = Date.parse(local);
    return Number.isNaN(time) ? null : new Date(time).toISOString();
}

/** The problem that the service has with a field. */
function problemOf(error: unknown, field: string): string | undefined {
    return error instanceof Failure ? error.fields.find((problem) => problem.field === field)?.message : undefined;
}

export function Repairs({ configuration }: { configuration: Whole }) {
    const api = useApi();
    const { id } = configuration;
    const [values, setValues] = useState({ from: "", to: "", overwrite: false });
    const [inProgress, setInProgress] = useState(false);
    const loaded = useLoad<Repair | null>(
        `repair ${id}`,
        async (signal) => {
            try {
                const { repair } = await api.send(RepairOperation, { id }, signal);
                setInProgress(isRunning(repair.status));
                return repair;
            } catch (error) {
                if (isNotFound(error)) return null;
                throw error;
            }
        },
        inProgress ? SECONDS_IN_PROGRESS : 0,
    );
    const request = useAction(async () => {
        const [from, to] = [utc(values.from), utc(values.to)];
        if (from === null || to === null) return;
        const { repair } = await api.send(RequestRepairOperation, { id, from, to, overwrite: values.overwrite });
        setInProgress(true);
        loaded.replace(repair);
    });
    const change = (changed: Partial<typeof values>) => setValues((values) => ({ ...values, ...changed }));
    return (
        <Section heading={text.detail.repairHeading}>
            <p class="hint">{text.detail.repairHint}</p>
            <Show loaded={loaded}>{(repair) => repair && <RepairState repair={repair} />}</Show>
            <form
                noValidate
                aria-label={text.detail.repairHeading}
                onSubmit={(event) => {
                    event.preventDefault();
                    request.run();
                }}
            >
                <div class="grid">
                    <TextField
                        name="repair.from"
                        label={text.detail.from}
                        type="datetime-local"
                        value={values.from}
                        set={(from) => change({ from })}
                        problem={problemOf(request.error, "from")}
                    />
                    <TextField
                        name="repair.to"
                        label={text.detail.to}
                        type="datetime-local"
                        value={values.to}
                        set={(to) => change({ to })}
                        problem={problemOf(request.error, "to")}
                    />
                </div>
                <div class="radio">
                    <input
                        type="checkbox"
                        id="repair-overwrite"
                        checked={values.overwrite}
                        onChange={(event) => change({ overwrite: event.currentTarget.checked })}
                    />
                    <label for="repair-overwrite">{text.detail.overwrite}</label>
                </div>
                {request.error !== null && <Problem error={request.error} />}
                <div class="toolbar">
                    <button
                        type="submit"
                        disabled={utc(values.from) === null || utc(values.to) === null}
                        aria-disabled={request.isRunning}
                    >
                        {text.detail.repair}
                    </button>
                </div>
            </form>
        </Section>
    );
}

function RepairState({ repair }: { repair: Repair }) {
    return (
        <div class="chosen">
            <p role="status">
                <Badge tone={REPAIR_TONES[repair.status]}>{text.detail.repairStatus[repair.status]}</Badge>{" "}
                {text.detail.repairProgress(
                    count(repair.checked),
                    count(repair.repaired),
                    count(repair.present),
                    count(repair.unrepaired),
                )}
            </p>
            <p class="hint">
                <Time value={repair.from} /> – <Time value={repair.to} />, {text.detail.by(repair.requestedBy)},{" "}
                <Time value={repair.requestedAt} />
            </p>
            {repair.error && (
                <p class="fix">
                    {repair.error.message} <CodeLink code={repair.error.code} />
                </p>
            )}
            {repair.unrepairedFiles.length > 0 && (
                <details class="more">
                    <summary>{text.detail.unrepaired}</summary>
                    <ul>
                        {repair.unrepairedFiles.map((file) => (
                            <li key={`${file.exportJobId} ${file.objectKey}`}>
                                <code class="break">{file.objectKey ?? file.exportJobId}</code>:{" "}
                                {text.detail.unrepairedReason[file.reason]}
                            </li>
                        ))}
                    </ul>
                </details>
            )}
        </div>
    );
}

export function Replays({ configuration }: { configuration: Whole }) {
    const api = useApi();
    const { id } = configuration;
    const [values, setValues] = useState({ from: "", to: "", bucketPath: "" });
    const [inProgress, setInProgress] = useState(false);
    const loaded = useLoad(
        `replays ${id}`,
        async (signal) => {
            const { replays } = await api.send(ReplaysOperation, { id }, signal);
            setInProgress(replays.some(({ status }) => isRunning(status)));
            return replays;
        },
        inProgress ? SECONDS_IN_PROGRESS : 0,
    );
    // Boundaries are in UTC, so these fields are too.
    const boundary = (field: string) => utc(field && `${field}Z`);
    const request = useAction(async () => {
        const [from, to] = [boundary(values.from), boundary(values.to)];
        if (from === null || to === null) return;
        await api.send(RequestReplayOperation, { id, from, to, bucketPath: values.bucketPath });
        setInProgress(true);
        loaded.reload();
    });
    const cancel = useAction(async (replay: string) => {
        await api.send(CancelReplayOperation, { configuration: id, id: replay });
        loaded.reload();
    });
    const change = (changed: Partial<typeof values>) => setValues((values) => ({ ...values, ...changed }));
    const pathProblem = values.bucketPath === "" ? null : bucketPath(values.bucketPath);
    const isReady =
        boundary(values.from) !== null && boundary(values.to) !== null && values.bucketPath !== "" && !pathProblem;
    return (
        <Section heading={text.detail.replayHeading}>
            <p class="hint">{text.detail.replayHint}</p>
            <Show loaded={loaded}>
                {(replays) =>
                    replays.length === 0 ? (
                        <p>{text.detail.replayNone}</p>
                    ) : (
                        <ul class="plain">
                            {replays.map((replay) => (
                                <ReplayState key={replay.id} replay={replay} cancel={cancel.run} />
                            ))}
                        </ul>
                    )
                }
            </Show>
            {cancel.error !== null && <Problem error={cancel.error} />}
            <form
                noValidate
                aria-label={text.detail.replayHeading}
                onSubmit={(event) => {
                    event.preventDefault();
                    request.run();
                }}
            >
                <div class="grid">
                    <TextField
                        name="replay.from"
                        label={text.detail.fromUtc}
                        type="datetime-local"
                        value={values.from}
                        set={(from) => change({ from })}
                        problem={problemOf(request.error, "from")}
                    />
                    <TextField
                        name="replay.to"
                        label={text.detail.toUtc}
                        type="datetime-local"
                        value={values.to}
                        set={(to) => change({ to })}
                        problem={problemOf(request.error, "to")}
                    />
                    <TextField
                        name="replay.bucketPath"
                        label={text.detail.replayPath}
                        hint={text.detail.replayPathHint}
                        value={values.bucketPath}
                        set={(value) => change({ bucketPath: value.trim() })}
                        problem={pathProblem ?? problemOf(request.error, "bucketPath")}
                        isCode
                    />
                </div>
                {values.bucketPath !== "" && !pathProblem && (
                    <PoliciesOfPath id={id} version={configuration.version} path={values.bucketPath} />
                )}
                {request.error !== null && <Problem error={request.error} />}
                <div class="toolbar">
                    <button type="submit" disabled={!isReady} aria-disabled={request.isRunning}>
                        {text.detail.replay}
                    </button>
                </div>
            </form>
        </Section>
    );
}

function PoliciesOfPath({ id, version, path }: { id: string; version: number; path: string }) {
    const [isOpen, setIsOpen] = useState(false);
    return (
        <details class="more" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
            <summary>{text.detail.replayPolicies}</summary>
            {isOpen && <Policies id={id} version={version} replayBucketPath={path} />}
        </details>
    );
}

function ReplayState({ replay, cancel }: { replay: Replay; cancel: (id: string) => void }) {
    return (
        <li class="chosen">
            <p role="status">
                <Badge tone={REPLAY_TONES[replay.status]}>{text.detail.replayStatus[replay.status]}</Badge>{" "}
                {text.detail.percent(replay.percent)}
            </p>
            <progress max={100} value={replay.percent} aria-label={replay.place} />
            <Facts>
                <Fact name={text.detail.replayPath}>
                    <code class="break">{replay.place}</code>
                </Fact>
                <Fact name={text.detail.windowFrom}>
                    <Time value={replay.from} />
                </Fact>
                <Fact name={text.detail.windowTo}>
                    <Time value={replay.to} />
                </Fact>
                <Fact name={text.detail.objects}>{count(replay.objects)}</Fact>
                <Fact name={text.detail.events}>{count(replay.events)}</Fact>
                <Fact name={text.detail.size}>{bytes(replay.bytes)}</Fact>
            </Facts>
            {replay.error && (
                <p class="fix">
                    {replay.error.message} <CodeLink code={replay.error.code} />
                </p>
            )}
            {isRunning(replay.status) && (
                <button type="button" onClick={() => cancel(replay.id)}>
                    {text.detail.replayCancel}
                </button>
            )}
        </li>
    );
}
