//! The service's texts in the words of this program.

/// Names of the API, and what stands for them here. Texts of the service are for everybody who calls its API.
const WORDS: [(&str, &str); 7] = [
    ("GraphQL: ", "Commands: "),
    ("AUDIT for GraphQL", "AUDIT for export configurations"),
    ("getAllExportConfigurations", "audit-export config list"),
    ("getExportRepair returns", "audit-export config repair ID shows"),
    ("exportReplays lists it", "audit-export config replays ID lists it"),
    ("with cancelExportReplay", "with audit-export config replay-cancel"),
    (", which exportServiceIdentity returns", "; its operator can tell you which that is"),
];

/// Replaces the names of the API's operations by commands.
pub fn in_commands(text: &str) -> String {
    WORDS.iter().fold(text.to_owned(), |text, (name, word)| text.replace(name, word))
}
