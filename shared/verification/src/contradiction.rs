//! The rules that the fields of one digest keep among themselves.

use domain::{
    block::BlockId,
    digest::{Digest, DigestObject, Gap},
    event_filter::EventFilter,
    object_key::data_object_name,
};

use crate::{
    breaks::BreakCode,
    names::{DigestName, LakeName},
    place::Place,
};

/// Returns the first contradiction in a digest, if there is one.
pub(crate) fn contradiction(digest: &Digest) -> Option<(BreakCode, String)> {
    let invalid = |detail: String| (BreakCode::InvalidDigest, detail);
    in_window(digest)
        .or_else(|| in_previous(digest))
        .or_else(|| in_gaps(digest))
        .map(invalid)
        .or_else(|| in_objects(digest))
}

fn in_window(digest: &Digest) -> Option<String> {
    let window = digest.window;
    if window.first_block > window.end_block {
        return Some("its window ends before it begins".to_owned());
    }
    let has_times_of_blocks =
        window.from == window.first_block.timestamp() && window.to == window.end_block.timestamp();
    (!has_times_of_blocks).then(|| "the times of its window are not those of its blocks".to_owned())
}

fn in_previous(digest: &Digest) -> Option<String> {
    match &digest.previous {
        None => (digest.sequence > 0).then(|| "it names no previous digest, but is not the first".to_owned()),
        Some(_) if digest.sequence == 0 => Some("it is the first, but names a previous digest".to_owned()),
        Some(reference) => match DigestName::of_key(&reference.key) {
            None => Some(format!("the key of its previous digest is not a digest's: {}", reference.key)),
            Some((_, name)) if !name.fits_signature(reference.signature_sha256) => {
                Some(format!("the key of its previous digest does not match the signature: {}", reference.key))
            }
            Some(_) => None,
        },
    }
}

/// Checks that gaps are in order, apart, and in the window.
fn in_gaps(digest: &Digest) -> Option<String> {
    let window = digest.window;
    let mut free_from = BlockId::lowest_at(window.from);
    for Gap { from, to, block, .. } in &digest.gaps {
        if let Some(block) = *block {
            if block < window.first_block.max(free_from) || block >= window.end_block {
                return Some(format!("its skipped block {block} is outside of its window, or in another gap"));
            }
            free_from = block.next();
        } else {
            if BlockId::lowest_at(*from) < free_from || to < from || *to > window.to {
                return Some(format!("its gap from {from} to {to} is outside of its window, or overlaps another"));
            }
            free_from = BlockId::lowest_at(*to);
        }
    }
    None
}

/// Checks that objects are in order, apart, in the window, and outside of the gaps.
fn in_objects(digest: &Digest) -> Option<(BreakCode, String)> {
    let window = digest.window;
    let mut free_from = window.first_block;
    let mut before: Option<&DigestObject> = None;
    let tag = digest.encoding().tag();
    for object in &digest.objects {
        let key = &object.key;
        let invalid = |what: &str| Some((BreakCode::InvalidDigest, format!("{what}: {key}")));
        if object.first_block > object.last_block {
            return invalid("an object ends before it begins");
        }
        if object.first_block < window.first_block || object.last_block >= window.end_block {
            return invalid("an object is outside of its window");
        }
        if object.first_block < free_from && !before.is_some_and(|before| shares_blocks(before, object)) {
            return Some((BreakCode::Reordered, format!("an object overlaps or precedes the one before it: {key}")));
        }
        if !is_of_configuration(object, digest, &tag) {
            return invalid("an object's key does not match its blocks");
        }
        if object.events == 0 || object.raw_length == 0 || object.stored_length == 0 {
            return invalid("an object is empty");
        }
        if object.oldest_event > object.newest_event {
            return invalid("an object's oldest event is newer than its newest");
        }
        // A skipped block may lie between the first and the last, but is neither.
        if digest.gaps.iter().any(|gap| gap.holds(object.first_block) || gap.holds(object.last_block)) {
            return invalid("an object is in a gap");
        }
        free_from = object.last_block.next();
        before = Some(object);
    }
    None
}

/// Returns whether an object has the events of the next class of the same blocks.
fn shares_blocks(before: &DigestObject, object: &DigestObject) -> bool {
    let blocks = |object: &DigestObject| (object.first_block, object.last_block);
    blocks(before) == blocks(object) && before.class < object.class
}

fn is_of_configuration(object: &DigestObject, digest: &Digest, tag: &str) -> bool {
    let is_named = if object.class.is_some() {
        LakeName::of_key(&object.key).is_some_and(|(_, name)| name.tag == tag)
    } else {
        let filter = digest.filter.as_ref().map(EventFilter::tag);
        object.key.ends_with(&data_object_name(digest.format(), filter, object.first_block, object.last_block))
    };
    is_named && Place::of_object(object).is_some_and(|place| place.configuration_id() == digest.configuration_id)
}
