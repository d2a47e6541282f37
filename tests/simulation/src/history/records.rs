//! The choices of OCSF that people make, and events that become records of several classes.

use std::time::Duration;

use domain::{
    block::BlockId,
    configuration::{ConfigurationKey, ExportConfiguration, Layout},
    export_format::ExportFormat,
    ocsf::{OcsfSettings, RawRule, RawSettings},
    time::Timestamp,
};

use crate::{faults::Chance, ports::OcsfFiles, world::World};

/// The share of the histories with OCSF, in thousandths, in which the encoder of the program writes the files. They take several
/// times as long as the others.
const PARQUET_PER_MILLE: u32 = 300;

/// Actions of each class, two that no rule has, and none. Those that filters name are among them.
const ACTIONS: [Option<&str>; 7] =
    [Some("LOGIN"), Some("READ"), Some("WRITE"), Some("CREATE"), Some("ENABLE_MFA"), Some("INVITE"), None];

/// The most time that an event is older than its receipt. The records of a file are in the order of the events' times.
const MAX_AGE: Duration = Duration::from_mins(90);

/// Returns the lines of a block whose events can be exported as records. Those of some blocks all have one action, so that a
/// filter leaves out whole blocks, and classes have no event of them.
pub(super) fn draw_lines(chance: &mut Chance, block: BlockId, stamp: Timestamp, events: u64) -> Vec<String> {
    let first = draw_action(chance);
    let is_uniform = chance.happens(400);
    let line = |number| {
        let at = stamp.saturating_sub(chance.between(Duration::ZERO, MAX_AGE));
        let action = if is_uniform { first } else { draw_action(chance) };
        let action = action.map(|action| format!(",\"action\":\"{action}\"")).unwrap_or_default();
        format!("{{\"id\":\"{block}-{number}\",\"eventTimestamp\":\"{at}\"{action}}}\n")
    };
    (0..events).map(line).collect()
}

fn draw_action(chance: &mut Chance) -> Option<&'static str> {
    let index = usize::try_from(chance.below(ACTIONS.len() as u64)).ok();
    index.and_then(|index| ACTIONS.get(index)).copied().flatten()
}

/// Returns choices of OCSF. Some rules give an action another class, and others know one that is unknown otherwise.
fn draw_settings(chance: &mut Chance) -> OcsfSettings {
    let rule = |action: &str, class: &str| RawRule {
        action: action.to_owned(),
        target_type: None,
        class: class.to_owned(),
        activity: None,
    };
    let classes = match chance.below(4) {
        0 => vec![rule("READ", "AUTHENTICATION")],
        1 => vec![rule("WRITE", "ENTITY_MANAGEMENT"), rule("LOGIN", "API_ACTIVITY")],
        _ => Vec::new(),
    };
    let version = chance.happens(300).then(|| "1.8.0".to_owned());
    OcsfSettings::parse(&RawSettings { version, classes: Some(classes) }).unwrap_or_default()
}

/// Sets the format of a configuration, as people do: mostly to records of OCSF. Returns whether its connection has to be tested
/// again, because it needs other permissions.
pub(super) fn change_format(chance: &mut Chance, configuration: &mut ExportConfiguration) -> bool {
    let format = match chance.below(6) {
        0 => ExportFormat::NdjsonGzip,
        1 => ExportFormat::NdjsonZstd,
        2 => ExportFormat::Parquet,
        _ => ExportFormat::OcsfParquet,
    };
    configuration.format = format;
    configuration.ocsf = (format == ExportFormat::OcsfParquet).then(|| draw_settings(chance));
    let layout = std::mem::replace(&mut configuration.destination.layout, Layout::of(format));
    layout != configuration.destination.layout
}

/// Sets the format that each configuration is created with, and how files are written.
pub(super) fn set_first_formats(world: &World, keys: &[ConfigurationKey]) {
    let mut state = world.lock();
    if state.ocsf_chance.happens(PARQUET_PER_MILLE) {
        state.ocsf_files = OcsfFiles::Parquet;
    }
    for key in keys {
        let state = &mut *state;
        if let Some(configuration) = state.configurations.get_mut(key) {
            change_format(&mut state.ocsf_chance, configuration);
        }
    }
}
