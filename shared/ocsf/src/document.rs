//! The generated parts of docs/OCSF.md.

use std::path::Path;

use domain::ocsf::Version;
use golden_documents::{assert_current, with_sections};

use crate::table::{Standard, StandardRule};

#[test]
fn the_page_has_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OCSF.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let standard = Standard::read().unwrap();
    let section = |name: &str| match name {
        "rules" => rules(&standard.rules),
        "words" => words(&standard),
        other => unreachable!("no section {other}"),
    };
    assert_current(&path, &with_sections(&page, section).unwrap(), "cargo test -p ocsf");
}

fn code(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn rules(rules: &[StandardRule]) -> String {
    let mut table = row(&["Class", "Activity", "`type_uid`", "Actions", "Target types"]) + "|---|---|---|---|---|\n";
    for StandardRule { class, activity, actions, target_types } in rules {
        let id = class.activity(activity).unwrap().id;
        let type_uid = (u32::from(class.uid()) * 100 + u32::from(id)).to_string();
        let targets = if target_types.is_empty() { "any, or none".to_owned() } else { code(target_types) };
        table += &row(&[class.caption(), activity, &type_uid, &code(actions), &targets]);
    }
    table
}

fn words(standard: &Standard) -> String {
    let mut table = row(&["Attribute", "Value", "Words"]) + "|---|---|---|\n";
    table += &row(&["`status_id`", "1 Success", &code(&standard.statuses.success)]);
    table += &row(&["`status_id`", "2 Failure", &code(&standard.statuses.failure)]);
    table += &row(&["`status_id`", "99 Other, 0 Unknown", "any other text, none"]);
    for (kind, words) in &standard.user_types {
        let name: &str = (*kind).into();
        let [old, new] = [Version::V1_3_0, Version::V1_8_0].map(|version| kind.id(version).unwrap_or(99));
        let value = if old == new { format!("{new} {name}") } else { format!("{new} {name}; {old} in 1.3.0") };
        table += &row(&["`type_id` of a user", &value, &code(words)]);
    }
    for (kind, words) in &standard.entity_types {
        let name: &str = (*kind).into();
        table += &row(&["`type_id` of an entity", &format!("{} {name}", kind.id()), &code(words)]);
    }
    table + &row(&["`type_id`", "99 Other", "any other type, which is `type`"])
}
