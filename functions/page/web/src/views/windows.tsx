// The windows of an export: a timeline, the window that is chosen, and a chart of delivery times.

import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { useApi } from "../context.ts";
import { bytes, count, duration, secondsBetween, shownTime } from "../format.ts";
import { DigestOperation, JobsOperation, TasksOperation, type Job } from "../generated/api.ts";
import { text } from "../text.ts";
import { useAction, useLoad, useNow } from "../ui/load.ts";
import {
    Badge,
    Document,
    DownloadButton,
    Fact,
    Facts,
    Problem,
    Section,
    Show,
    Table,
    Time,
    type Tone,
} from "../ui/parts.tsx";
import { delays, heights, inOrder, markOf, placed, type Mark } from "../windows.ts";

const PAGE = 40;
const SHAPES: Record<Mark, string> = { delivered: "", gap: "◆", failed: "✕", open: "○" };
const TONES: Record<Mark, Tone> = { delivered: "good", gap: "warning", failed: "bad", open: "neutral" };

function stateOf(job: Job): string {
    const state = text.detail.jobStatus[job.status];
    return job.gaps.length > 0 ? text.detail.stateWithGap(state) : state;
}

function durationOf(job: Job): string {
    return job.startedAt && job.endedAt ? duration(secondsBetween(job.startedAt, job.endedAt)) : text.none;
}

/** The windows that are loaded, the oldest first. Older ones are loaded on request. */
export function useWindows(id: string, everySeconds: number) {
    const api = useApi();
    // Everything that was loaded stays: a poll returns the newest windows only.
    const known = useRef(new Map<string, Job>());
    const [after, setAfter] = useState<string | null | undefined>(undefined);
    const loaded = useLoad(
        `jobs ${id}`,
        async (signal) => (await api.send(JobsOperation, { id, first: PAGE }, signal)).jobs,
        everySeconds,
    );
    const more = useAction(async (cursor: string) => {
        const { jobs } = await api.send(JobsOperation, { id, first: PAGE, after: cursor });
        for (const job of jobs.nodes) known.current.set(job.id, job);
        setAfter(jobs.pageInfo.hasNextPage ? jobs.pageInfo.endCursor : null);
    });
    if (loaded.state === "ready") for (const job of loaded.value.nodes) known.current.set(job.id, job);
    const newest = loaded.state === "ready" ? loaded.value.pageInfo : null;
    const next = after === undefined ? (newest?.hasNextPage ? newest.endCursor : null) : after;
    return { loaded, jobs: inOrder([...known.current.values()]), more, next };
}

/** The timeline. It shows what is loaded. */
export function Windows({ windows: { loaded, jobs, more, next } }: { windows: ReturnType<typeof useWindows> }) {
    const [chosen, setChosen] = useState<string | null>(null);
    const job = jobs.find((job) => job.id === chosen) ?? jobs.at(-1);
    return (
        <Section heading={text.detail.timelineHeading}>
            <Show loaded={loaded}>
                {() =>
                    !job ? (
                        <p>{text.detail.timelineNone}</p>
                    ) : (
                        <>
                            <Timeline jobs={jobs} chosen={job.id} choose={setChosen} />
                            {next !== null && (
                                <div class="toolbar">
                                    <button
                                        type="button"
                                        aria-disabled={more.isRunning}
                                        onClick={() => more.run(next)}
                                    >
                                        {text.detail.older}
                                    </button>
                                </div>
                            )}
                            {more.error !== null && <Problem error={more.error} />}
                            <Chosen key={job.id} job={job} />
                        </>
                    )
                }
            </Show>
        </Section>
    );
}

function Timeline({
    jobs,
    chosen,
    choose,
}: {
    jobs: readonly Job[];
    chosen: string | null;
    choose: (id: string) => void;
}) {
    const columns = heights(jobs);
    const timeline = useRef<HTMLDivElement>(null);
    // The newest window is at the end, which narrow screens don't show at first.
    useLayoutEffect(() => {
        if (timeline.current) timeline.current.scrollLeft = timeline.current.scrollWidth;
    }, []);
    const move = (event: KeyboardEvent, index: number) => {
        const target = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: jobs.length - 1 }[event.key];
        const job = target === undefined ? undefined : jobs[target];
        if (!job) return;
        event.preventDefault();
        choose(job.id);
        document.getElementById(`window-${job.id}`)?.focus();
    };
    return (
        <>
            <p class="hint" id="timeline-hint">
                {text.detail.timelineHint}
            </p>
            <div
                ref={timeline}
                class="timeline"
                role="group"
                aria-label={text.detail.timelineHeading}
                aria-describedby="timeline-hint"
            >
                {jobs.map((job, index) => {
                    const mark = markOf(job);
                    const label = text.detail.column(shownTime(job.startTimestamp), stateOf(job));
                    return (
                        <button
                            key={job.id}
                            id={`window-${job.id}`}
                            type="button"
                            class={`column ${mark}`}
                            aria-pressed={job.id === chosen}
                            tabIndex={job.id === chosen ? 0 : -1}
                            aria-label={text.detail.columnFigures(
                                label,
                                count(job.events),
                                bytes(job.bytes),
                                durationOf(job),
                            )}
                            title={label}
                            onClick={() => choose(job.id)}
                            onKeyDown={(event) => move(event, index)}
                        >
                            <span class="shape" aria-hidden="true">
                                {SHAPES[mark]}
                            </span>
                            <svg class="bar" viewBox="0 0 10 100" preserveAspectRatio="none" aria-hidden="true">
                                <rect x="0" y={100 - columns[index]!} width="10" height={columns[index]} />
                            </svg>
                        </button>
                    );
                })}
            </div>
            <ul class="legend" aria-label={text.detail.legend}>
                <li>
                    <Badge tone="good">{text.detail.jobStatus.SUCCEEDED}</Badge>
                </li>
                <li>
                    {SHAPES.gap} {text.detail.withGap}
                </li>
                <li>
                    {SHAPES.failed} {text.detail.jobStatus.FAILED}
                </li>
                <li>
                    {SHAPES.open} {text.detail.jobStatus.RUNNING}
                </li>
            </ul>
            <details class="more">
                <summary>{text.detail.table}</summary>
                <Table
                    caption={text.detail.table}
                    columns={[
                        text.detail.windowFrom,
                        text.detail.windowTo,
                        text.list.healthColumn,
                        text.detail.events,
                        text.detail.size,
                        text.detail.duration,
                    ]}
                    rows={[...jobs].reverse().map((job) => ({
                        key: job.id,
                        cells: [
                            <Time value={job.startTimestamp} />,
                            job.endTimestamp ? <Time value={job.endTimestamp} /> : text.detail.windowOpen,
                            stateOf(job),
                            count(job.events),
                            bytes(job.bytes),
                            durationOf(job),
                        ],
                    }))}
                />
            </details>
        </>
    );
}

function Chosen({ job }: { job: Job }) {
    return (
        <div class="chosen">
            <h3 aria-live="polite">{text.detail.windowHeading(shownTime(job.startTimestamp))}</h3>
            <Facts>
                <Fact name={text.list.healthColumn}>
                    <Badge tone={TONES[markOf(job)]}>{stateOf(job)}</Badge>
                </Fact>
                <Fact name={text.detail.windowFrom}>
                    <Time value={job.startTimestamp} />
                </Fact>
                <Fact name={text.detail.windowTo}>
                    {job.endTimestamp ? <Time value={job.endTimestamp} /> : text.detail.windowOpen}
                </Fact>
                <Fact name={text.detail.events}>{count(job.events)}</Fact>
                {job.leftOut > 0 && <Fact name={text.detail.leftOut}>{count(job.leftOut)}</Fact>}
                <Fact name={text.detail.size}>{bytes(job.bytes)}</Fact>
                <Fact name={text.detail.duration}>{durationOf(job)}</Fact>
                <Fact name={text.detail.attempts}>{count(job.attempts)}</Fact>
            </Facts>
            {job.failureReason && <p class="notice bad">{job.failureReason}</p>}
            {job.gaps.length > 0 && (
                <>
                    <h4>{text.detail.gaps}</h4>
                    <ul>
                        {job.gaps.map((gap) => (
                            <li key={gap.startTimestamp + gap.reason}>
                                <Time value={gap.startTimestamp} /> – <Time value={gap.endTimestamp} />:{" "}
                                {text.detail.gapReason[gap.reason]}
                            </li>
                        ))}
                    </ul>
                </>
            )}
            <Objects job={job} />
            <h4>{text.detail.digest}</h4>
            {job.status === "SUCCEEDED" ? <Digest job={job} /> : <p class="hint">{text.detail.digestNone}</p>}
        </div>
    );
}

function Objects({ job }: { job: Job }) {
    const api = useApi();
    const loaded = useLoad(`tasks ${job.id} ${job.status} ${job.objects}`, async (signal) => {
        const { tasks } = await api.send(TasksOperation, { id: job.id }, signal);
        return tasks;
    });
    const more = useAction(async (after: string) => {
        if (loaded.state !== "ready") return;
        const { tasks } = await api.send(TasksOperation, { id: job.id, after });
        loaded.replace({ nodes: [...loaded.value.nodes, ...tasks.nodes], pageInfo: tasks.pageInfo });
    });
    return (
        <>
            <h4>{text.detail.objects}</h4>
            <Show loaded={loaded}>
                {({ nodes, pageInfo }) =>
                    nodes.length === 0 ? (
                        <p class="hint">{text.detail.objectsNone}</p>
                    ) : (
                        <>
                            <Table
                                caption={text.detail.objects}
                                columns={[
                                    text.detail.objectColumn,
                                    text.list.healthColumn,
                                    text.detail.events,
                                    text.detail.size,
                                ]}
                                rows={nodes.map((task) => ({
                                    key: task.id,
                                    cells: [
                                        <>
                                            <code class="break">{task.objectKey}</code>
                                            {task.ocsfClass && (
                                                <span class="soft block">{text.ocsfClass[task.ocsfClass]}</span>
                                            )}
                                        </>,
                                        <>
                                            {text.detail.jobStatus[task.status]}
                                            {task.failureReason && <span class="block">{task.failureReason}</span>}
                                        </>,
                                        count(task.events),
                                        bytes(task.bytes),
                                    ],
                                }))}
                            />
                            {pageInfo.hasNextPage && pageInfo.endCursor && (
                                <button
                                    type="button"
                                    aria-disabled={more.isRunning}
                                    onClick={() => more.run(pageInfo.endCursor!)}
                                >
                                    {text.more}
                                </button>
                            )}
                            {more.error !== null && <Problem error={more.error} />}
                        </>
                    )
                }
            </Show>
        </>
    );
}

function Digest({ job }: { job: Job }) {
    const [isWanted, setIsWanted] = useState(false);
    if (!isWanted) {
        return (
            <>
                <p class="hint">{text.detail.digestHint}</p>
                <button type="button" onClick={() => setIsWanted(true)}>
                    {text.detail.showDigest}
                </button>
            </>
        );
    }
    return <LoadedDigest id={job.id} />;
}

function LoadedDigest({ id }: { id: string }) {
    const api = useApi();
    const loaded = useLoad(`digest ${id}`, async (signal) => (await api.send(DigestOperation, { id }, signal)).digest);
    const name = (key: string) => key.slice(key.lastIndexOf("/") + 1);
    return (
        <Show loaded={loaded}>
            {(digest) => (
                <>
                    <p>
                        <code class="break">{digest.objectKey}</code>
                    </p>
                    <p class="hint">
                        {text.detail.digestHash} <code class="break">{digest.sha256}</code>
                    </p>
                    <Document content={digest.digest} name={name(digest.objectKey)} what={text.detail.digestFile} />
                    <p>
                        <code class="break">{digest.signatureObjectKey}</code>{" "}
                        <DownloadButton
                            content={Uint8Array.from(atob(digest.signature), (character) => character.charCodeAt(0))}
                            name={name(digest.signatureObjectKey)}
                            what={text.detail.signatureFile}
                        />
                    </p>
                </>
            )}
        </Show>
    );
}

const [WIDTH, HEIGHT] = [600, 120];

/** How late each window was, and the export is now. `lag`: seconds. */
export function LagChart({ jobs, lag }: { jobs: readonly Job[]; lag: number }) {
    const now = useNow(30);
    const at = new Date(now).toISOString();
    const windows = delays(jobs, now);
    const points = placed([...windows, { at, seconds: lag, kind: "now" }], WIDTH, HEIGHT);
    const most = duration(Math.max(...points.map(({ seconds }) => seconds)));
    const delivered = windows.filter(({ kind }) => kind === "delivered");
    const summary = [
        text.detail.lagNow(lag === 0 ? text.detail.onTime : text.detail.lagText(duration(lag))),
        windows.length > delivered.length && text.detail.lagWaiting(windows.length - delivered.length),
        delivered.length === 0
            ? text.detail.lagNone
            : text.detail.lagDelivered(
                  delivered.length,
                  duration(Math.max(...delivered.map(({ seconds }) => seconds))),
                  duration(delivered.at(-1)!.seconds),
              ),
    ].filter(Boolean);
    return (
        <>
            <h3>{text.detail.lagChart}</h3>
            <p class="soft">{most}</p>
            <svg
                class="chart"
                viewBox={`-6 -8 ${WIDTH + 12} ${HEIGHT + 16}`}
                role="img"
                aria-label={summary.join(" ")}
            >
                <line class="axis" x1="0" y1={HEIGHT} x2={WIDTH} y2={HEIGHT} />
                <line class="grid-line" x1="0" y1="0" x2={WIDTH} y2="0" />
                <polyline points={points.map(({ x, y }) => `${x},${y}`).join(" ")} />
                {points.map(({ x, y, kind }) => (
                    <circle key={`${x} ${y}`} class={kind} cx={x} cy={y} r={kind === "now" ? 6 : 3.5} />
                ))}
            </svg>
            <p class="soft section-head">
                <Time value={points[0]!.at} />
                <span>{text.detail.now}</span>
            </p>
            <p class="hint">{summary.join(" ")}</p>
        </>
    );
}
