/** The parts of names that all files of a kind share. */

export const DIGEST_FOLDER = "_digests/";
export const SIGNATURE_SUFFIX = ".sig";

/** The beginning of the names of files beside the export's folder: those in the layout of Security Lake. */
export const BESIDE = "../";

/** The beginning of the partitions of Security Lake. */
export const LAKE_FOLDER = "region=";

const CONFIGURATION_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isConfigurationId(text: string): boolean {
    return CONFIGURATION_ID.test(text);
}
