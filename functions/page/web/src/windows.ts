// What the timeline and the chart show of windows.

import { secondsBetween } from "./format.ts";
import type { Job } from "./generated/api.ts";

export type Mark = "delivered" | "gap" | "failed" | "open";

/** The kind of a window. A failure counts before a gap, because it is what can still be changed. */
export function markOf(job: Job): Mark {
    if (job.status === "FAILED") return "failed";
    if (job.gaps.length > 0) return "gap";
    return job.status === "SUCCEEDED" ? "delivered" : "open";
}

/** Returns windows in the order of their beginnings. */
export function inOrder(jobs: readonly Job[]): Job[] {
    return [...jobs].sort((a, b) => Date.parse(a.startTimestamp) - Date.parse(b.startTimestamp));
}

/** The heights of columns in percent: the square root, so that small windows are seen beside large ones. */
export function heights(jobs: readonly Job[]): number[] {
    const most = Math.max(1, ...jobs.map(({ events }) => events));
    return jobs.map(({ events }) => (events === 0 ? 3 : Math.max(8, Math.round(Math.sqrt(events / most) * 100))));
}

export type Delay = { readonly end: string; readonly seconds: number };

/** The time from the end of each delivered window to its delivery, the oldest first. */
export function delays(jobs: readonly Job[]): Delay[] {
    const delivered = jobs.flatMap(({ endTimestamp, endedAt }) =>
        endTimestamp && endedAt
            ? [{ end: endTimestamp, seconds: Math.max(0, secondsBetween(endTimestamp, endedAt)) }]
            : [],
    );
    return delivered.sort((a, b) => Date.parse(a.end) - Date.parse(b.end));
}

/** The points of a line in a chart of this size, with the time as its first axis and 0 at the bottom. */
export function line(points: readonly Delay[], width: number, height: number): string {
    const [first, last] = [points.at(0), points.at(-1)];
    if (!first || !last) return "";
    const [start, length] = [Date.parse(first.end), Math.max(1, Date.parse(last.end) - Date.parse(first.end))];
    const most = Math.max(1, ...points.map(({ seconds }) => seconds));
    const at = ({ end, seconds }: Delay) => {
        const x = points.length === 1 ? width : ((Date.parse(end) - start) / length) * width;
        return `${x.toFixed(1)},${(height - (seconds / most) * height).toFixed(1)}`;
    };
    return points.map(at).join(" ");
}
