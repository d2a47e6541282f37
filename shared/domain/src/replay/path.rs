//! The path of a replay, apart from all others.

use super::{period::ReplayPeriod, record::Replay, request::ReplayRequest};
use crate::{
    configuration::{
        Destination, ExportConfiguration,
        bucket::BucketPath,
        field,
        field_error::{FieldError, FieldErrorCode},
    },
    object_key::LAKE_FOLDER,
};

/// Checks that the path of a request is neither equal to, nor inside, nor around a path that the configuration or another replay of it
/// writes under, so that a reader of one never reads the other.
///
/// # Errors
/// `REPLAY_PATH_OVERLAPS`.
pub(super) fn check_path(
    request: &ReplayRequest,
    configuration: &ExportConfiguration,
    others: &[Replay],
) -> Result<(), FieldError> {
    let Destination { bucket_name, bucket_path: Some(path), .. } = &request.destination else { return Ok(()) };
    let other = others.iter().find(|other| {
        let Destination { bucket_name: bucket, bucket_path, .. } = &other.destination;
        let is_overlapping = |other: &BucketPath| overlap(path.as_str(), other.as_str());
        bucket == bucket_name && bucket_path.as_ref().is_some_and(is_overlapping)
    });
    let own = &configuration.destination;
    let is_own = *bucket_name == own.bucket_name
        && match &own.bucket_path {
            Some(own) => overlap(path.as_str(), own.as_str()),
            // Every path is inside the bucket's root, where the export itself writes under its ID, and in folders of Security Lake.
            None => {
                is_inside(path.as_str(), &configuration.key.configuration_id.to_string())
                    || path.as_str().starts_with(LAKE_FOLDER)
            }
        };
    let message = if is_own {
        "The export itself writes under this path, inside of it or around it. Give a path apart from it, such as one \
         beside it."
            .to_owned()
    } else if let Some(Replay { period: ReplayPeriod { from, to }, .. }) = other {
        format!(
            "The replay from {from} to {to} has this path, one inside of it or one around it. Give a path apart from it. A \
             replay that failed or was cancelled continues if it is requested with the same period and path, within 7 days."
        )
    } else {
        return Ok(());
    };
    Err(FieldError { field: field::BUCKET_PATH, code: FieldErrorCode::ReplayPathOverlaps, message })
}

fn overlap(one: &str, other: &str) -> bool {
    is_inside(one, other) || is_inside(other, one)
}

/// Returns whether a path is `folder` or inside of it.
fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{
            bucket::BucketName,
            test_support::{ID, with_role},
        },
        replay::test_support::{replay, request},
    };

    fn with_path(configuration: ExportConfiguration, path: Option<&str>) -> ExportConfiguration {
        let bucket_path = path.map(|path| BucketPath::parse(path).unwrap());
        ExportConfiguration { destination: Destination { bucket_path, ..configuration.destination }, ..configuration }
    }

    #[test]
    fn a_path_overlaps_what_is_equal_inside_or_around() {
        let own_folder = format!("{ID}/replay");
        for (own, path, is_free) in [
            (Some("audit/log"), "audit/log", false),
            (Some("audit/log"), "audit/log/replay", false),
            (Some("audit/log"), "audit", false),
            (Some("audit/log"), "audit/logs", true),
            (Some("audit/log"), "audit/replay", true),
            (None, "replay", true),
            (None, ID, false),
            (None, &own_folder, false),
            (None, "region=eu-west-1/accountId=external", false),
        ] {
            let request = with_path(with_role(), Some(path)).destination;
            let request = ReplayRequest { destination: request, ..self::request() };
            let checked = check_path(&request, &with_path(with_role(), own), &[]);
            assert_eq!(checked.is_ok(), is_free, "{own:?} {path}");
        }
    }

    #[test]
    fn a_path_of_another_replay_in_the_same_bucket_is_taken() {
        let error = check_path(&request(), &with_role(), &[replay()]).unwrap_err();
        assert_eq!((error.field, error.code), (field::BUCKET_PATH, FieldErrorCode::ReplayPathOverlaps));
        let mut elsewhere = replay();
        elsewhere.destination.bucket_name = BucketName::parse("another").unwrap();
        assert_eq!(check_path(&request(), &with_role(), &[elsewhere]), Ok(()));
    }
}
