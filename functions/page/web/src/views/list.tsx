// All exports of the tenant.

import { useApi } from "../context.ts";
import { duration, relative, visible } from "../format.ts";
import { ExportsOperation, type ExportHealth, type Summary } from "../generated/api.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { useLoad, useNow } from "../ui/load.ts";
import { Badge, Heading, OptionalTime, Show, Table, Time, type Row, type Tone } from "../ui/parts.tsx";

export const HEALTH_TONES: Record<ExportHealth, Tone> = {
    OK: "good",
    DELAYED: "warning",
    FAILING: "bad",
    DISABLED: "neutral",
    NEVER_RUN: "neutral",
};

export function placeOf({ endpointConfiguration: at }: Summary): string {
    return `s3://${at.bucketName}${at.bucketPath ? `/${at.bucketPath}` : ""}`;
}

/** The name of an export for people. */
export function nameOf(one: Summary): string {
    return one.description === null ? placeOf(one) : visible(one.description);
}

export function List() {
    const api = useApi();
    const loaded = useLoad("exports", async (signal) => (await api.send(ExportsOperation, {}, signal)).exports, 60);
    return (
        <>
            <div class="section-head">
                <Heading>{text.list.heading}</Heading>
                <a class="button primary" href={paths.create}>
                    {text.list.create}
                </a>
            </div>
            <Show loaded={loaded}>{(exports) => (exports.length === 0 ? <Empty /> : <All exports={exports} />)}</Show>
        </>
    );
}

function Empty() {
    return (
        <div class="card empty">
            <h2>{text.list.emptyHeading}</h2>
            <p>{text.list.empty}</p>
            <p>
                <a class="button primary" href={paths.create}>
                    {text.list.create}
                </a>
            </p>
        </div>
    );
}

function All({ exports }: { exports: readonly Summary[] }) {
    const now = useNow(30);
    const rows = exports.map((one): Row => {
        const { status } = one;
        return {
            key: one.id,
            cells: [
                <>
                    <a href={paths.detail(one.id)}>{nameOf(one)}</a>
                    {one.description !== null && <span class="soft block">{placeOf(one)}</span>}
                </>,
                <Badge tone={HEALTH_TONES[status.health]}>{text.health[status.health]}</Badge>,
                status.lagSeconds === 0 ? text.list.onTime : duration(status.lagSeconds),
                status.nextExportAt === null ? (
                    text.none
                ) : (
                    <>
                        {relative(status.nextExportAt, now)}
                        <span class="soft block">
                            <Time value={status.nextExportAt} />
                        </span>
                    </>
                ),
                <OptionalTime value={status.lastSuccessAt} />,
                <>
                    {text.format[one.format]}
                    <span class="soft block">{text.interval[one.interval]}</span>
                </>,
            ],
        };
    });
    const { bucket, healthColumn, lag, next, last, formatColumn } = text.list;
    return (
        <>
            <p class="soft" role="status">
                {text.list.number(exports.length)}
            </p>
            <Table
                caption={text.list.table}
                columns={[bucket, healthColumn, lag, next, last, formatColumn]}
                rows={rows}
            />
        </>
    );
}
