/** The view that verifies a downloaded folder in the browser. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { type Api, Failure, isNotFound, UNAUTHENTICATED } from "../api/client.ts";
import { useApi } from "../context.ts";
import { bytes, count, visible } from "../format.ts";
import { ExportOperation, SigningKeysOperation } from "../generated/api.ts";
import { CODES } from "../generated/codes.ts";
import { TextField } from "../ui/field.tsx";
import { Badge, CodeLink, DownloadButton, Fact, Facts, Heading, Section, Table, Time, type Tone } from "../ui/parts.tsx";
import { exportsIn, filesOfDrop, filesOfInput, type FolderFile, type FoundExport, type ShowCount } from "./folder.ts";
import { PublicKeys } from "./keys.ts";
import { BESIDE } from "./layout.ts";
import type { Progress } from "./options.ts";
import type { NamedFiles } from "./report.ts";
import { startVerification, type Verification, type Verified } from "./start.ts";
import type { PlainReport, Task } from "./task.ts";
import { text } from "./text.ts";
import { parseTime, timeText } from "./time.ts";

/** The most breaks and names that are shown. The report has more. */
const MAX_BREAKS = 20;
const MAX_SHOWN = 10;

/** Public keys, and where they are from. `file`: the name of the file that somebody chose; null: the service. */
interface Keys {
    readonly pems: readonly string[];
    readonly file: string | null;
}

interface Counts {
    readonly digests: number;
    readonly digestsChecked: number;
    readonly bytes: number;
    readonly bytesRead: number;
}

/** A verified folder. `note`: why the service says nothing about the end. */
interface Done {
    readonly kind: "DONE";
    readonly verified: Verified;
    readonly keys: Keys;
    readonly seconds: number;
    readonly note: string | null;
    readonly isBesideGiven: boolean;
}

type State =
    | { readonly kind: "IDLE" }
    | { readonly kind: "ASKING" }
    | { readonly kind: "ASK_FAILED" }
    | { readonly kind: "RUNNING"; readonly counts: Counts }
    | { readonly kind: "FAILED"; readonly reason: string }
    | Done;

type Found =
    | { readonly kind: "NONE" }
    | { readonly kind: "READING"; readonly count: number }
    | { readonly kind: "EXPORTS"; readonly exports: readonly FoundExport[] };

const IDLE: State = { kind: "IDLE" };
const NO_COUNTS: Counts = { digests: 0, digestsChecked: 0, bytes: 0, bytesRead: 0 };

export function Verify(): JSX.Element {
    const api = useApi();
    const [keys, setKeys] = useState<Keys | null>(null);
    const [keyProblem, setKeyProblem] = useState<string | null>(null);
    const [found, setFound] = useState<Found>({ kind: "NONE" });
    const [chosen, setChosen] = useState(0);
    const [expected, setExpected] = useState("");
    const [place, setPlace] = useState("");
    const [isWhole, setIsWhole] = useState(false);
    const [problem, setProblem] = useState<string | null>(null);
    const [state, setState] = useState<State>(IDLE);
    const running = useRef<Verification | null>(null);
    // What was begun before a change of any choice must not show.
    const turn = useRef(0);
    /** The keys of the chosen file, which may still be read when a folder is chosen or a verification begins. */
    const reading = useRef<Promise<Keys | null>>(Promise.resolve(null));
    const folder = found.kind === "EXPORTS" ? found.exports[chosen] : undefined;
    useEffect(() => () => running.current?.cancel(), []);

    /** Ends what is running, and removes the result: it would stand under other choices. */
    const forget = (): number => {
        running.current?.cancel();
        running.current = null;
        setState(IDLE);
        turn.current += 1;
        return turn.current;
    };

    const choose = async (list: (show: ShowCount) => Promise<FolderFile[]> | FolderFile[]): Promise<void> => {
        const own = forget();
        setProblem(null);
        setChosen(0);
        setFound({ kind: "READING", count: 0 });
        try {
            const files = await list((count) => {
                if (own !== turn.current) throw new Error(text.cancelled);
                setFound({ kind: "READING", count });
            });
            if (own !== turn.current) return;
            setFound({ kind: "EXPORTS", exports: exportsIn(files) });
            setProblem(files.length === 0 ? text.nothing : null);
        } catch (error) {
            if (own !== turn.current) return;
            setFound({ kind: "NONE" });
            setProblem(messageOf(error));
        }
    };

    const chooseKey = async (file: File | undefined): Promise<void> => {
        forget();
        setKeys(null);
        setKeyProblem(null);
        const read = file ? readKeys(file) : Promise.resolve(null);
        const own = read.catch(() => null);
        reading.current = own;
        try {
            const found = await read;
            if (own === reading.current) setKeys(found);
        } catch (error) {
            if (own === reading.current) setKeyProblem(text.keyInvalid(file?.name ?? "", messageOf(error)));
        }
    };

    const start = async (asks: boolean): Promise<void> => {
        if (!folder) return;
        const own = forget();
        const isCurrent = (): boolean => own === turn.current;
        const set = (next: State): void => {
            if (isCurrent()) setState(next);
        };
        setState({ kind: "ASKING" });
        try {
            const used = (await reading.current) ?? (await serviceKeys(api));
            const end = asks ? await endOf(api, folder.configurationId, place) : { through: null, note: null };
            if (!isCurrent()) return;
            if (end === "FAILED") {
                set({ kind: "ASK_FAILED" });
                return;
            }
            const started = performance.now();
            let counts = NO_COUNTS;
            set({ kind: "RUNNING", counts });
            const task: Task = {
                files: folder.files,
                keys: used.pems,
                place: place === "" ? undefined : place,
                configurationId: folder.configurationId,
                expectedThrough: laterOf(expected, end.through),
                wholeRequired: isWhole,
                target: folder.folder,
                verifiedAt: Date.now(),
            };
            const verification = startVerification(task, (progress) => {
                counts = progress.reduce(added, counts);
                set({ kind: "RUNNING", counts });
            });
            running.current = verification;
            const verified = await verification.result;
            const isBesideGiven = folder.files.some(({ name }) => name.startsWith(BESIDE));
            const seconds = (performance.now() - started) / 1000;
            set({ kind: "DONE", verified, keys: used, seconds, note: end.note, isBesideGiven });
        } catch (error) {
            set({ kind: "FAILED", reason: error instanceof Advice ? error.message : text.failed(messageOf(error)) });
        }
    };

    const cancel = (): void => {
        forget();
        if (found.kind === "READING") setFound({ kind: "NONE" });
        else setState({ kind: "FAILED", reason: text.cancelled });
    };
    const isBusy = state.kind === "RUNNING" || state.kind === "ASKING";

    return (
        <>
            <Heading>{text.heading}</Heading>
            <p>{text.intro}</p>
            {/* It is always there: screen readers say what changes in it. */}
            <p class="hidden" role="status">
                {announcement(found, state)}
            </p>
            <Section heading={text.keyHeading}>
                <div class="field">
                    <label for="verify-key">{text.keyFile}</label>
                    <p class="hint" id="verify-key-hint">
                        {text.keyHint}
                    </p>
                    <input
                        id="verify-key"
                        type="file"
                        accept=".pem,.pub,.txt"
                        aria-describedby="verify-key-hint"
                        onChange={(event) => void chooseKey(event.currentTarget.files?.[0])}
                    />
                </div>
                {keys && <p class="soft break">{text.keyOfFile(visible(keys.file ?? ""), keys.pems.length)}</p>}
                <Alert>{keyProblem}</Alert>
            </Section>
            <Section heading={text.folderHeading}>
                <FolderInput choose={(list) => void choose(list)} />
                {found.kind === "READING" && (
                    <div class="toolbar">
                        <p class="loading">{text.reading(found.count)}</p>
                        <button type="button" onClick={cancel}>
                            {text.cancel}
                        </button>
                    </div>
                )}
                <Alert>{problem}</Alert>
                {found.kind === "EXPORTS" && found.exports.length > 1 && (
                    <div class="field">
                        <label for="verify-export">{text.choose}</label>
                        <select
                            id="verify-export"
                            value={String(chosen)}
                            onChange={(event) => {
                                forget();
                                setChosen(Number(event.currentTarget.value));
                            }}
                        >
                            {found.exports.map((one, index) => (
                                <option key={one.folder} value={String(index)}>
                                    {visible(one.folder)}
                                </option>
                            ))}
                        </select>
                    </div>
                )}
                {folder && <p class="break">{text.found(folder.files.length, visible(folder.folder))}</p>}
                <TextField
                    name="expected-through"
                    label={text.expected}
                    hint={text.expectedHint}
                    value={expected}
                    set={(value) => {
                        forget();
                        setExpected(value);
                    }}
                    isOptional
                    isCode
                />
                <details class="more">
                    <summary>{text.more}</summary>
                    <TextField
                        name="place"
                        label={text.place}
                        hint={text.placeHint}
                        value={place}
                        set={(value) => {
                            forget();
                            setPlace(value);
                        }}
                        isOptional
                        isCode
                    />
                    <label>
                        <input
                            type="checkbox"
                            checked={isWhole}
                            onChange={(event) => {
                                forget();
                                setIsWhole(event.currentTarget.checked);
                            }}
                        />{" "}
                        {text.whole}
                    </label>
                </details>
                <div class="toolbar">
                    <button
                        type="button"
                        class="primary"
                        disabled={!folder}
                        aria-disabled={isBusy}
                        onClick={() => !isBusy && void start(true)}
                    >
                        {text.start}
                    </button>
                    {isBusy && (
                        <button type="button" onClick={cancel}>
                            {text.cancel}
                        </button>
                    )}
                </div>
                {state.kind === "ASKING" && <p class="loading">{text.asking}</p>}
                {state.kind === "RUNNING" && <Running counts={state.counts} />}
                {state.kind === "ASK_FAILED" && (
                    <div class="notice warning" role="alert">
                        <p>{text.askFailed}</p>
                        <button type="button" onClick={() => void start(false)}>
                            {text.startAnyway}
                        </button>
                    </div>
                )}
                <Alert>{state.kind === "FAILED" ? state.reason : null}</Alert>
            </Section>
            {state.kind === "DONE" && <Result done={state} />}
        </>
    );
}

function Alert({ children }: { children: string | null }): JSX.Element | null {
    if (children === null) return null;
    return (
        <p class="notice bad break" role="alert">
            {children}
        </p>
    );
}

function messageOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}

/** What to do before a verification can start. */
class Advice extends Error {}

function isSignedOut(error: unknown): boolean {
    return error instanceof Failure && error.code === UNAUTHENTICATED && error.message === "";
}

/** Returns the keys of a file. */
async function readKeys(file: File): Promise<Keys> {
    const pem = await file.text();
    await PublicKeys.none().withPem(pem);
    return { pems: [pem], file: file.name };
}

/** Returns the keys that the service publishes. */
async function serviceKeys(api: Api): Promise<Keys> {
    let published: readonly { readonly fingerprint: string; readonly publicKey: string }[];
    try {
        published = (await api.send(SigningKeysOperation, {})).keys;
    } catch (error) {
        throw new Advice(isSignedOut(error) ? text.keyNeeded : text.keyUnavailable);
    }
    if (published.length === 0) throw new Advice(text.keyUnavailable);
    for (const { fingerprint, publicKey } of published) {
        const [own, ...more] = (await PublicKeys.none().withPem(publicKey)).fingerprints();
        if (own !== fingerprint || more.length > 0) throw new Advice(text.keyWrong);
    }
    return { pems: published.map(({ publicKey }) => publicKey), file: null };
}

interface End {
    /** The time through which the service exported. Null: it says nothing about the end. */
    readonly through: string | null;
    readonly note: string | null;
}

/** Asks the service how far it exported. Nobody is asked if nobody is signed in, or the ID is not known. */
async function endOf(api: Api, id: string | undefined, place: string): Promise<End | "FAILED"> {
    if (id === undefined) return { through: null, note: null };
    try {
        const { endpointConfiguration: at, status } = (await api.send(ExportOperation, { id })).configuration;
        const own = `s3://${[at.bucketName, at.bucketPath, id].filter(Boolean).join("/")}`;
        return place !== "" && place.replace(/\/$/, "") !== own
            ? { through: null, note: text.otherPlace }
            : { through: status.exportedThrough, note: null };
    } catch (error) {
        if (isSignedOut(error)) return { through: null, note: null };
        return isNotFound(error) ? { through: null, note: text.unknownHere } : "FAILED";
    }
}

/** Returns the later of the entered time and that of the service. A time that can't be read is kept, to be refused. */
function laterOf(entered: string, through: string | null): Task["expectedThrough"] {
    const byCaller = { time: entered, source: "CALLER" } as const;
    if (through === null) return entered === "" ? undefined : byCaller;
    const time = parseTime(entered);
    const isLater = entered !== "" && (time === undefined || time > Date.parse(through));
    return isLater ? byCaller : { time: through, source: "SERVICE" };
}

function announcement(found: Found, state: State): string {
    // Not every file.
    if (found.kind === "READING") return text.reading(found.count - (found.count % 1000));
    if (state.kind === "ASKING") return text.asking;
    if (state.kind === "RUNNING") {
        const { bytes: all, bytesRead } = state.counts;
        // Not every percent.
        return all > 0 ? text.progressStep(Math.floor((4 * bytesRead) / all) * 25) : text.progress;
    }
    return state.kind === "DONE" ? verdictOf(state.verified.report) : "";
}

function FolderInput({
    choose,
}: {
    choose: (list: (show: ShowCount) => Promise<FolderFile[]> | FolderFile[]) => void;
}): JSX.Element {
    const [isOver, setIsOver] = useState(false);
    return (
        <div
            class={isOver ? "field drop over" : "field drop"}
            onDragOver={(event) => {
                event.preventDefault();
                setIsOver(true);
            }}
            onDragLeave={() => setIsOver(false)}
            onDrop={(event) => {
                event.preventDefault();
                setIsOver(false);
                const items = event.dataTransfer?.items ?? [];
                // The entries are only there during the event, in which this begins.
                choose((show) => filesOfDrop(items, show));
            }}
        >
            <label for="verify-folder">{text.folder}</label>
            <p class="hint" id="verify-folder-hint">
                {text.folderHint}
            </p>
            <input
                id="verify-folder"
                type="file"
                {...{ webkitdirectory: true }}
                aria-describedby="verify-folder-hint"
                onChange={(event) => {
                    const { files } = event.currentTarget;
                    if (files) choose(() => filesOfInput(files));
                }}
            />
            <p class="soft">{text.drop}</p>
        </div>
    );
}

function added(counts: Counts, progress: Progress): Counts {
    switch (progress.kind) {
        case "DIGESTS_LISTED":
            return { ...counts, digests: progress.count };
        case "DIGEST_CHECKED":
            return { ...counts, digestsChecked: counts.digestsChecked + 1 };
        case "OBJECTS_COUNTED":
            return { ...counts, bytes: Number(progress.storedBytes) };
        case "BYTES_READ":
            return { ...counts, bytesRead: counts.bytesRead + progress.count };
        case "OBJECT_CHECKED":
            return counts;
    }
}

function Running({ counts }: { counts: Counts }): JSX.Element {
    const isOfObjects = counts.bytes > 0;
    const [value, max] = isOfObjects ? [counts.bytesRead, counts.bytes] : [counts.digestsChecked, counts.digests];
    return (
        <>
            <progress aria-label={text.progress} value={value} max={Math.max(1, max)} />
            <p class="soft">
                {isOfObjects
                    ? text.progressObjects(bytes(value), bytes(max))
                    : text.progressDigests(counts.digestsChecked, counts.digests)}
            </p>
        </>
    );
}

/** The verdict in the words of the command line. */
function verdictOf(report: PlainReport): string {
    const unproven = report.pending.count + report.uncovered.count;
    return unproven > 0 ? `${mainVerdictOf(report)}; ${text.notProven(unproven)}` : mainVerdictOf(report);
}

function mainVerdictOf(report: PlainReport): string {
    const through = report.completeThrough === undefined ? "" : timeText(report.completeThrough);
    if (report.verdict === "BROKEN") return text.broken(report.breaks[0]?.code ?? "");
    if (report.verdict === "OUTDATED") return text.outdated(through);
    return report.isWhole
        ? text.complete(through)
        : text.completePart(through, report.digests.stretches, timeText(report.period?.from ?? 0));
}

/** Only what is compared with an end is shown as all good. */
function toneOf({ verdict, expectation }: PlainReport): Tone {
    if (verdict === "BROKEN") return "bad";
    return verdict === "OUTDATED" || expectation.through === undefined ? "warning" : "good";
}

function expectationOf({ expectation }: PlainReport): string {
    if (expectation.through === undefined) return text.expectsNothing;
    const time = timeText(expectation.through);
    return expectation.source === "SERVICE" ? text.byService(time) : text.byCaller(time);
}

function Result({ done }: { done: Done }): JSX.Element {
    const { verified, keys, seconds } = done;
    const { report, json } = verified;
    const top = useRef<HTMLDivElement>(null);
    useEffect(() => top.current?.scrollIntoView({ block: "nearest" }), [report]);
    const { digests, objects } = report;
    const speed = text.speed(bytes(Number(objects.storedBytes)), seconds.toFixed(1));
    const lacksLake = !done.isBesideGiven && report.breaks.some(({ file }) => file?.startsWith(BESIDE));
    return (
        <div ref={top}>
            <Section heading={text.resultHeading}>
                {lacksLake && <p class="notice warning">{text.lake}</p>}
                <p class="verdict">
                    <Badge tone={toneOf(report)}>{verdictOf(report)}</Badge>
                </p>
                {done.note !== null && <p class="notice warning">{done.note}</p>}
                {report.breakCount > 0 && <Breaks report={report} />}
                <Facts>
                    <Fact name={text.verified}>{visible(report.circumstances.target)}</Fact>
                    <Fact name={text.at}>
                        <Time value={timeText(report.circumstances.verifiedAt)} />
                    </Fact>
                    <Fact name={text.by}>{report.circumstances.program}</Fact>
                    <Fact name={text.expectation}>{expectationOf(report)}</Fact>
                    <Fact name={text.digests}>
                        {count(digests.count)}
                        {digests.firstSequence !== undefined &&
                            ` (${text.sequences(String(digests.firstSequence), String(digests.lastSequence))})`}
                        {digests.stretches > 1 && <span class="block">{text.stretches(digests.stretches)}</span>}
                    </Fact>
                    <Fact name={text.objects}>
                        {text.intact(count(objects.intact), count(objects.count))}
                    </Fact>
                    <Fact name={text.events}>
                        {count(objects.events)}
                        {digests.leftOut > 0n && `, ${text.leftOut(count(digests.leftOut))}`}
                    </Fact>
                    <Fact name={text.bytes}>{speed}</Fact>
                    {report.period && (
                        <Fact name={text.period}>
                            <Time value={timeText(report.period.from)} /> – <Time value={timeText(report.period.to)} />
                        </Fact>
                    )}
                    {report.place !== undefined && <Fact name={text.placeFact}>{report.place}</Fact>}
                    {report.tenantId !== undefined && <Fact name={text.tenant}>{report.tenantId}</Fact>}
                    {report.configurationId !== undefined && (
                        <Fact name={text.configuration}>{report.configurationId}</Fact>
                    )}
                    {digests.headSha256 !== undefined && (
                        <Fact name={text.head}>
                            <code>{digests.headSha256}</code>
                        </Fact>
                    )}
                    <Fact name={text.keysUsed}>
                        {keys.file === null ? text.keysByService : text.keysByFile(visible(keys.file))}
                        {report.signingKeys.map((used) => (
                            <span key={used.fingerprint} class="block">
                                <code>{used.fingerprint}</code>: {text.keysDigests(used.digests)}
                            </span>
                        ))}
                    </Fact>
                </Facts>
                <Lists report={report} />
                <p class="hint">{text.scope}</p>
                <DownloadButton content={`${json}\n`} name="verification.json" what={text.report} />
            </Section>
        </div>
    );
}

function Breaks({ report }: { report: PlainReport }): JSX.Element {
    const shown = report.breaks.slice(0, MAX_BREAKS);
    return (
        <>
            <Table
                caption={text.breaks(report.breakCount)}
                isNamed
                columns={[text.code, text.file, text.detail]}
                rows={shown.map(({ code, file, detail }, index) => ({
                    key: String(index),
                    cells: [
                        <CodeLink code={code} />,
                        file === undefined ? text.wholeExport : <code class="break">{visible(file)}</code>,
                        <span class="break">
                            {meaningOf(code)} {adviceOf(detail)}
                        </span>,
                    ],
                }))}
            />
            <More count={report.breakCount} shown={shown.length} />
        </>
    );
}

function meaningOf(code: string): string {
    return CODES.find(([name, kind]) => name === code && kind === "Verification")?.[2] ?? "";
}

/** The command line's advice, in the words of the page. */
function adviceOf(detail: string): string {
    return visible(detail).replace("give --place", text.givePlace(text.more));
}

function More({ count, shown }: { count: number; shown: number }): JSX.Element | null {
    return count > shown ? <p class="soft">{text.andMore(count - shown)}</p> : null;
}

/** A list with its number, and its first entries. */
function List({
    title,
    count: all,
    children,
}: {
    title: string;
    count: number;
    children: readonly ComponentChildren[];
}): JSX.Element | null {
    if (all === 0) return null;
    const shown = children.slice(0, MAX_SHOWN);
    return (
        <>
            <h3>
                {title} ({count(all)})
            </h3>
            <ul class="plain break">
                {shown.map((child, index) => (
                    <li key={index}>{child}</li>
                ))}
            </ul>
            <More count={all} shown={shown.length} />
        </>
    );
}

function Lists({ report }: { report: PlainReport }): JSX.Element {
    const names = (title: string, { count, names: all }: NamedFiles): JSX.Element => (
        <List title={title} count={count}>
            {all.map(visible)}
        </List>
    );
    return (
        <>
            <List title={text.gaps} count={report.gapCount}>
                {report.gaps.map((gap) => text.gap(timeText(gap.from), timeText(gap.to), text.gapReason[gap.reason]))}
            </List>
            <List title={text.unproven} count={report.unprovenDigests.length}>
                {report.unprovenDigests.map((one) => text.range(one.firstSequence, one.lastSequence))}
            </List>
            <List title={text.filters} count={report.filters.length}>
                {report.filters.map((used) =>
                    text.filter(count(used.leftOut), text.range(used.firstSequence, used.lastSequence)),
                )}
            </List>
            {names(text.pending, report.pending)}
            {names(text.uncovered, report.uncovered)}
            {names(text.elsewhere, report.elsewhere.objects)}
            {names(text.systemFiles, report.systemFiles)}
        </>
    );
}
