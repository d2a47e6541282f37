// All exports of the tenant.

import { useApi } from "../context.ts";
import { duration, relative, visible } from "../format.ts";
import { ExportsOperation, type ExportHealth, type Summary } from "../generated/api.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { useLoad, useNow } from "../ui/load.ts";
import { Badge, Heading, OptionalTime, Show, Time, type Tone } from "../ui/parts.tsx";

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
            <Show loaded={loaded}>{(exports) => (exports.length === 0 ? <Empty /> : <Table exports={exports} />)}</Show>
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

function Table({ exports }: { exports: readonly Summary[] }) {
    const now = useNow(30);
    return (
        <>
            <p class="soft" role="status">
                {text.list.number(exports.length)}
            </p>
            <table class="cards" role="table">
                <caption class="hidden">{text.list.table}</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th scope="col" role="columnheader">
                            {text.list.bucket}
                        </th>
                        <th scope="col" role="columnheader">
                            {text.list.healthColumn}
                        </th>
                        <th scope="col" role="columnheader">
                            {text.list.lag}
                        </th>
                        <th scope="col" role="columnheader">
                            {text.list.next}
                        </th>
                        <th scope="col" role="columnheader">
                            {text.list.last}
                        </th>
                        <th scope="col" role="columnheader">
                            {text.list.formatColumn}
                        </th>
                    </tr>
                </thead>
                <tbody role="rowgroup">
                    {exports.map((one) => (
                        <tr key={one.id} role="row">
                            <th scope="row" role="rowheader">
                                <a href={paths.detail(one.id)}>{nameOf(one)}</a>
                                {one.description !== null && <span class="soft block">{placeOf(one)}</span>}
                            </th>
                            <td role="cell" data-label={text.list.healthColumn}>
                                <Badge tone={HEALTH_TONES[one.status.health]}>{text.health[one.status.health]}</Badge>
                            </td>
                            <td role="cell" data-label={text.list.lag}>
                                {one.status.lagSeconds === 0 ? text.list.onTime : duration(one.status.lagSeconds)}
                            </td>
                            <td role="cell" data-label={text.list.next}>
                                {one.status.nextExportAt === null ? (
                                    text.none
                                ) : (
                                    <>
                                        {relative(one.status.nextExportAt, now)}
                                        <span class="soft block">
                                            <Time value={one.status.nextExportAt} />
                                        </span>
                                    </>
                                )}
                            </td>
                            <td role="cell" data-label={text.list.last}>
                                <OptionalTime value={one.status.lastSuccessAt} />
                            </td>
                            <td role="cell" data-label={text.list.formatColumn}>
                                {text.format[one.format]}
                                <span class="soft block">{text.interval[one.interval]}</span>
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </>
    );
}
