//! Suggestions for misspelled Regions, intervals and formats, made offline.

use std::fmt::Display;

use domain::{
    configuration::region::{KNOWN_REGIONS, Region},
    export_format::ExportFormat,
    interval::ExportInterval,
};
use terminal::text::printable;

/// The similarity, from 0 to 1, of a name to suggest.
const MIN_SIMILARITY: f64 = 0.6;
/// Longer texts are not compared and not repeated.
const MAX_LENGTH: usize = 32;

/// Parses an option with a Region, and refuses a misspelled one.
pub fn parse_region(text: &str) -> Result<String, String> {
    let known = Region::parse(text).map_err(|error| hinted(error.rule, near_region(text)))?;
    misspelled_region(text).map_or_else(|| Ok(known.as_str().to_owned()), Err)
}

/// Parses an option with an interval: `24h`, `24` or the API's name.
pub fn parse_interval(text: &str) -> Result<ExportInterval, String> {
    let name = hours(text).map_or_else(|| text.to_uppercase(), |hours| format!("EVERY_{hours}_HOURS"));
    ExportInterval::parse(&name).ok_or_else(|| {
        let near = near_interval(text).map(|interval| format!("{}h", interval.duration().as_secs() / 3_600));
        hinted("an interval is 2h, 4h, 6h, 12h or 24h", near)
    })
}

/// Parses an option with a format: the API's name, in lower case and with hyphens too.
pub fn parse_format(text: &str) -> Result<ExportFormat, String> {
    let hyphened = |format: ExportFormat| format.name().to_lowercase().replace('_', "-");
    ExportFormat::parse(&text.to_uppercase().replace('-', "_")).ok_or_else(|| {
        hinted("a format is ndjson-gzip, ndjson-zstd, parquet or ocsf-parquet", ExportFormat::near(text).map(hyphened))
    })
}

/// Returns what is wrong with a Region that has a valid form, but an unknown word that is a known one with one typing error.
/// AWS adds Regions, and names them with the same words.
pub fn misspelled_region(text: &str) -> Option<String> {
    let is_known = |word: &str| KNOWN_REGIONS.iter().any(|region| region.split('-').any(|known| known == word));
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > MAX_LENGTH || text.split('-').all(|word| is_known(word) || is_number(word)) {
        return None;
    }
    let near = KNOWN_REGIONS.iter().find(|region| strsim::osa_distance(region, text) <= 1)?;
    Some(format!("{} is not a Region of AWS; did you mean {near}?", printable(text)))
}

/// Returns the Region that an invalid text is nearest to.
pub fn near_region(text: &str) -> Option<&'static str> {
    let normal = text.trim().to_lowercase().replace(['_', ' '], "-");
    nearest(&normal, KNOWN_REGIONS.iter().copied(), |region| region)
}

/// Returns the interval that an invalid text is nearest to: in hours, or by its name.
pub fn near_interval(text: &str) -> Option<ExportInterval> {
    if let Some(hours) = hours(text) {
        let difference = |interval: &ExportInterval| (interval.duration().as_secs() / 3_600).abs_diff(hours);
        return ExportInterval::ALL.into_iter().min_by_key(difference);
    }
    match text.trim().to_lowercase().as_str() {
        "daily" | "1d" => Some(ExportInterval::Every24Hours),
        _ => nearest(&text.to_uppercase().replace(['-', ' '], "_"), ExportInterval::ALL, ExportInterval::name),
    }
}

/// Returns the number of `24`, `24h`, `24 hours`.
fn hours(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic() || character == ' ');
    let unit = text.get(digits.len()..)?.trim_start();
    let is_of_hours = matches!(unit, "" | "h" | "hr" | "hrs" | "hour" | "hours");
    digits.parse().ok().filter(|_| is_of_hours && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn nearest<T: Copy>(text: &str, known: impl IntoIterator<Item = T>, name: impl Fn(T) -> &'static str) -> Option<T> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let similarities = known.into_iter().map(|one| (strsim::normalized_damerau_levenshtein(text, name(one)), one));
    let (similarity, one) = similarities.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (similarity >= MIN_SIMILARITY).then_some(one)
}

/// Adds a suggestion to a sentence.
pub fn hinted(sentence: &str, near: Option<impl Display>) -> String {
    match near {
        Some(near) => format!("{}; did you mean {near}?", sentence.trim_end_matches('.')),
        None => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_region_is_refused_with_a_suggestion() {
        for (text, near) in [("eu-wst-1", "eu-west-1"), ("us-esat-1", "us-east-1"), ("eu-centrall-1", "eu-central-1")] {
            let expected = format!("{text} is not a Region of AWS; did you mean {near}?");
            assert_eq!(parse_region(text), Err(expected));
        }
        for (text, near) in [("EU-West-1", "eu-west-1"), ("eu_west_1", "eu-west-1"), ("euwest-1", "eu-west-1")] {
            assert!(parse_region(text).unwrap_err().ends_with(&format!("; did you mean {near}?")), "{text}");
        }
        assert!(!parse_region("the one in Ireland").unwrap_err().contains("did you mean"));
    }

    #[test]
    fn a_region_that_aws_may_add_is_accepted() {
        for region in KNOWN_REGIONS {
            assert_eq!(parse_region(region).as_deref(), Ok(region));
        }
        for region in ["eu-west-4", "sa-central-1", "mx-south-1", "us-iso-east-1", "eusc-fr-east-1", "xa-north-1"] {
            assert_eq!(parse_region(region).as_deref(), Ok(region));
        }
    }

    #[test]
    fn a_format_is_given_by_its_name() {
        for format in ExportFormat::ALL {
            for text in [format.name().to_owned(), format.name().to_lowercase().replace('_', "-")] {
                assert_eq!(parse_format(&text), Ok(*format));
            }
        }
        for (text, near) in
            [("zstd", "ndjson-zstd"), ("ndjson", "ndjson-gzip"), ("parket", "parquet"), ("ocsf", "ocsf-parquet")]
        {
            let expected =
                format!("a format is ndjson-gzip, ndjson-zstd, parquet or ocsf-parquet; did you mean {near}?");
            assert_eq!(parse_format(text), Err(expected));
        }
        assert_eq!(parse_format("csv").unwrap_err(), "a format is ndjson-gzip, ndjson-zstd, parquet or ocsf-parquet");
        assert!(parse_format("").is_err());
    }

    #[test]
    fn an_interval_is_given_in_hours_or_by_its_name() {
        for text in ["24h", "24", "24 hours", "EVERY_24_HOURS", "every_24_hours"] {
            assert_eq!(parse_interval(text), Ok(ExportInterval::Every24Hours), "{text}");
        }
        for (text, near) in [("23h", "24h"), ("1h", "2h"), ("daily", "24h"), ("EVERY_12_HOUR", "12h"), ("0", "2h")] {
            let expected = format!("an interval is 2h, 4h, 6h, 12h or 24h; did you mean {near}?");
            assert_eq!(parse_interval(text), Err(expected));
        }
        for text in ["", "soon", "-2h", &"9".repeat(40)] {
            assert_eq!(parse_interval(text).unwrap_err(), "an interval is 2h, 4h, 6h, 12h or 24h", "{text}");
        }
    }
}
