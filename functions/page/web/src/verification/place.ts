/** The place of an export: a bucket, and the prefix of all keys of the export. */

import { lastPart, splitOnce, withoutPrefix, withoutSuffix } from "./bytes.ts";
import { type Digest, type DigestObject, type DigestReference, isBucketName } from "./digest.ts";
import { BESIDE, isConfigurationId } from "./layout.ts";
import { type Blocks, DigestName, LakeName, prefixOfDataKey } from "./names.ts";

/** `s3://<bucket>/<bucketPath>/<configuration ID>`. */
export class Place {
    readonly bucket: string;
    readonly prefix: string;
    readonly configurationId: string;

    private constructor(bucket: string, prefix: string, configurationId: string) {
        this.bucket = bucket;
        this.prefix = prefix;
        this.configurationId = configurationId;
    }

    /** Undefined unless the last part of `prefix` is a configuration's ID. */
    static of(bucket: string, prefix: string): Place | undefined {
        const id = lastPart(prefix);
        return isConfigurationId(id) ? new Place(bucket, prefix, id) : undefined;
    }

    static parse(text: string): Place | undefined {
        const [bucket, prefix] = splitOnce(withoutPrefix(text, "s3://") ?? "", "/") ?? ["", ""];
        return isBucketName(bucket) ? Place.of(bucket, withoutSuffix(prefix, "/") ?? prefix) : undefined;
    }

    /** Returns the place of an object, if its key is the one of its blocks. */
    static ofObject(object: DigestObject): Place | undefined {
        const blocks = blocksOfObject(object);
        if (object.class !== undefined) {
            const { path, name } = LakeName.ofKey(object.key) ?? {};
            const isNamed =
                name?.class === object.class && name.blocks.first === blocks.first && name.blocks.last === blocks.last;
            return isNamed
                ? Place.of(object.bucket, path === undefined ? name.configurationId : `${path}/${name.configurationId}`)
                : undefined;
        }
        const prefix = prefixOfDataKey(object.key, blocks);
        return prefix === undefined ? undefined : Place.of(object.bucket, prefix);
    }

    /** Returns the place of a digest, if its key is a digest's. */
    static ofReference(reference: DigestReference): Place | undefined {
        const prefix = DigestName.ofKey(reference.key)?.[0];
        return prefix === undefined ? undefined : Place.of(reference.bucket, prefix);
    }

    /** Infers the place from the newest digest: that of its objects or, if it has none, of the previous digest. */
    static inferredFrom(digest: Digest): Place | undefined {
        const last = digest.objects.at(-1);
        return (last && Place.ofObject(last)) ?? (digest.previous && Place.ofReference(digest.previous));
    }

    equals(other: Place | undefined): boolean {
        return other?.bucket === this.bucket && other.prefix === this.prefix;
    }

    holdsObject(object: DigestObject): boolean {
        return this.equals(Place.ofObject(object));
    }

    /** Returns the name of a key of the export, relative to its prefix. */
    nameOf(key: string): string | undefined {
        const lake = LakeName.ofKey(key);
        if (lake) {
            const path = withoutSuffix(withoutSuffix(this.prefix, this.configurationId) ?? "", "/");
            const isHere = path === lake.path && lake.name.configurationId === this.configurationId;
            return isHere ? BESIDE + lake.name.file() : undefined;
        }
        return withoutPrefix(key, `${this.prefix}/`);
    }

    toString(): string {
        return `s3://${this.bucket}/${this.prefix}`;
    }
}

export function blocksOfObject(object: DigestObject): Blocks {
    return { first: object.firstBlock, last: object.lastBlock };
}
