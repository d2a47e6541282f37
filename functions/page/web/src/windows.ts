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

/** A point of the chart: how late a window was delivered, is until now, or the export is now. */
export type Delay = { readonly at: string; readonly seconds: number; readonly kind: "delivered" | "waiting" | "now" };

/** The time from the end of each window to its delivery or, without one, until now; the oldest first. */
export function delays(jobs: readonly Job[], now: number): Delay[] {
    const points = jobs.flatMap(({ endTimestamp: at, endedAt, status }): Delay[] => {
        if (!at) return [];
        const isDelivered = status === "SUCCEEDED";
        const end = isDelivered ? endedAt : new Date(now).toISOString();
        if (!end) return [];
        return [{ at, seconds: Math.max(0, secondsBetween(at, end)), kind: isDelivered ? "delivered" : "waiting" }];
    });
    return points.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** The places of points in a chart of this size, with the time as its first axis and 0 at the bottom. */
export function placed(points: readonly Delay[], width: number, height: number): (Delay & { x: number; y: number })[] {
    const times = points.map(({ at }) => Date.parse(at));
    const start = Math.min(...times);
    const length = Math.max(1, Math.max(...times) - start);
    const most = Math.max(1, ...points.map(({ seconds }) => seconds));
    const rounded = (value: number) => Math.round(value * 10) / 10;
    return points.map((point, index) => ({
        ...point,
        x: rounded(points.length === 1 ? width : ((times[index]! - start) / length) * width),
        y: rounded(height - (point.seconds / most) * height),
    }));
}
