//! The filters that people set, and the actions of events that they concern.

use domain::{
    configuration::ConfigurationKey,
    event_filter::{EventFilter, RawFilter, RawLists},
};

use crate::{faults::Chance, world::World};

const ACTIONS: [&str; 3] = ["LOGIN", "READ", "WRITE"];

/// Returns the actions of the events of a block. Those of many blocks are all the same, so that a filter leaves out whole blocks.
pub(super) fn draw_actions(chance: &mut Chance, events: u64) -> Vec<&'static str> {
    let first = draw_action(chance);
    let is_uniform = chance.happens(600);
    (0..events).map(|_| if is_uniform { first } else { draw_action(chance) }).collect()
}

fn draw_action(chance: &mut Chance) -> &'static str {
    usize::try_from(chance.below(3)).ok().and_then(|index| ACTIONS.get(index)).copied().unwrap_or_default()
}

/// Returns a filter, or none.
pub(super) fn draw_filter(chance: &mut Chance) -> Option<EventFilter> {
    let lists = |actions: &[&str]| {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Some(RawLists { actions: Some(actions), ..RawLists::default() })
    };
    let (include, exclude) = match chance.below(6) {
        0 => return None,
        1 => (lists(&["LOGIN"]), None),
        2 => (lists(&["LOGIN", "WR*"]), None),
        3 => (lists(&["DELETE"]), None),
        4 => (None, lists(&["LOGIN"])),
        _ => (None, lists(&["READ"])),
    };
    EventFilter::parse(&RawFilter { include, exclude }).ok()
}

/// Sets the filter that each configuration is created with.
pub(super) fn set_first_filters(world: &World, keys: &[ConfigurationKey]) {
    let mut state = world.lock();
    for key in keys {
        let filter = draw_filter(&mut state.filter_chance);
        if let Some(configuration) = state.configurations.get_mut(key) {
            configuration.filter = filter;
        }
    }
}
