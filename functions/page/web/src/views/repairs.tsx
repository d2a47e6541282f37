// Repairs and replays, with their progress.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { Failure, isNotFound } from "../api/client.ts";
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
import { useValues, type Values } from "../ui/form.ts";
import { useAction, useLoad, type Action } from "../ui/load.ts";
import { Badge, Fact, Facts, Fix, Problem, Section, Show, Time, type Tone } from "../ui/parts.tsx";
import { Policies } from "./access.tsx";

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

const NO_PERIOD = { from: "", to: "" };
const NO_REPAIR = { ...NO_PERIOD, overwrite: false };
const NO_REPLAY = { ...NO_PERIOD, bucketPath: "" };

/** Returns the time of a browser's field, in UTC or local, or null if it is not complete. */
function timeOf(field: string, isUtc: boolean): string | null {
    const time = Date.parse(field && isUtc ? `${field}Z` : field);
    return Number.isNaN(time) ? null : new Date(time).toISOString();
}

/** The problem that the service has with a field. */
function problemOf(error: unknown, field: string): string | undefined {
    return error instanceof Failure ? error.fields.find((problem) => problem.field === field)?.message : undefined;
}

type Period = { readonly from: string; readonly to: string };

/** A form for a period. `more`: further fields; `isReady`: they can be sent; `children`: what else belongs to them. */
function PeriodForm<V extends Period>({
    name,
    heading,
    button,
    isUtc,
    form,
    isReady = true,
    request,
    more,
    children,
}: {
    name: string;
    heading: string;
    button: string;
    isUtc: boolean;
    form: Values<V>;
    isReady?: boolean;
    request: Action<[Period]>;
    more?: ComponentChildren;
    children?: ComponentChildren;
}) {
    const labels = isUtc
        ? { from: text.detail.fromUtc, to: text.detail.toUtc }
        : { from: text.detail.from, to: text.detail.to };
    const { values } = form;
    const [from, to] = [timeOf(values.from, isUtc), timeOf(values.to, isUtc)];
    return (
        <form
            noValidate
            aria-label={heading}
            onSubmit={(event) => {
                event.preventDefault();
                if (from !== null && to !== null && isReady) request.run({ from, to });
            }}
        >
            <div class="grid">
                {(["from", "to"] as const).map((end) => (
                    <TextField
                        key={end}
                        name={`${name}.${end}`}
                        label={labels[end]}
                        type="datetime-local"
                        value={values[end]}
                        set={(time) => form.set({ [end]: time } as Partial<V>)}
                        problem={problemOf(request.error, end)}
                    />
                ))}
                {more}
            </div>
            {children}
            {request.error !== null && <Problem error={request.error} />}
            <div class="toolbar">
                <button
                    type="submit"
                    disabled={from === null || to === null || !isReady}
                    aria-disabled={request.isRunning}
                >
                    {button}
                </button>
            </div>
        </form>
    );
}

export function Repairs({ configuration }: { configuration: Whole }) {
    const api = useApi();
    const { id } = configuration;
    const form = useValues(`repair ${id}`, NO_REPAIR);
    const { overwrite } = form.values;
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
    const request = useAction(async (period: Period) => {
        const { repair } = await api.send(RequestRepairOperation, { id, ...period, overwrite });
        form.set(NO_REPAIR);
        setInProgress(true);
        loaded.replace(repair);
    });
    return (
        <Section heading={text.detail.repairHeading}>
            <p class="hint">{text.detail.repairHint}</p>
            <Show loaded={loaded}>{(repair) => repair && <RepairState repair={repair} />}</Show>
            <PeriodForm
                name="repair"
                heading={text.detail.repairHeading}
                button={text.detail.repair}
                isUtc={false}
                form={form}
                request={request}
            >
                <div class="radio">
                    <input
                        type="checkbox"
                        id="repair-overwrite"
                        checked={overwrite}
                        onChange={(event) => form.set({ overwrite: event.currentTarget.checked })}
                    />
                    <label for="repair-overwrite">{text.detail.overwrite}</label>
                </div>
            </PeriodForm>
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
            {repair.error && <Fix error={repair.error} />}
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
    const form = useValues(`replay ${id}`, NO_REPLAY);
    const path = form.values.bucketPath;
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
    const request = useAction(async (period: Period) => {
        await api.send(RequestReplayOperation, { id, ...period, bucketPath: path });
        form.set(NO_REPLAY);
        setInProgress(true);
        loaded.reload();
    });
    const cancel = useAction(async (replay: string) => {
        await api.send(CancelReplayOperation, { configuration: id, id: replay });
        loaded.reload();
    });
    const problem = path === "" ? null : bucketPath(path);
    const isReady = path !== "" && problem === null;
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
            {/* Boundaries of intervals are in UTC, so these times are too. */}
            <PeriodForm
                name="replay"
                heading={text.detail.replayHeading}
                button={text.detail.replay}
                isUtc
                form={form}
                isReady={isReady}
                request={request}
                more={
                    <TextField
                        name="replay.bucketPath"
                        label={text.detail.replayPath}
                        hint={text.detail.replayPathHint}
                        value={path}
                        set={(value) => form.set({ bucketPath: value.trim() })}
                        problem={problem ?? problemOf(request.error, "bucketPath")}
                        isCode
                    />
                }
            >
                {isReady && <PoliciesOfPath id={id} version={configuration.version} path={path} />}
            </PeriodForm>
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
            {replay.error && <Fix error={replay.error} />}
            {isRunning(replay.status) && (
                <button type="button" onClick={() => cancel(replay.id)}>
                    {text.detail.replayCancel}
                </button>
            )}
        </li>
    );
}
