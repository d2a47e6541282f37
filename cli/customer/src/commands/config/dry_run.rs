//! The request of a dry run, without its secret.

use std::collections::BTreeMap;

use serde_json::json;
use strum::VariantArray;
use terminal::text::{printable, printable_json};

use super::file::{FORCE, Field, Value};
use crate::{
    failure::Failure,
    output::{self, OutputArguments, OutputFormat},
};

pub fn print(operation: &str, data: BTreeMap<&'static str, Value>, arguments: &OutputArguments) -> Result<(), Failure> {
    output::print_line(&render(operation, data, arguments.output))
}

fn render(operation: &str, mut data: BTreeMap<&'static str, Value>, format: OutputFormat) -> String {
    let has_secret = data.remove(Field::SecretAccessKey.name()).is_some();
    if format == OutputFormat::Json {
        let data = json!(data);
        return printable_json(&format!(r#"{{"operation":"{operation}","data":{data}}}"#));
    }
    let width = Field::VARIANTS.iter().map(|field| field.name().len()).max().unwrap_or(0);
    let mut lines = vec![format!("No problems found (checked offline). The request would be {operation}:")];
    for field in Field::VARIANTS.iter().copied() {
        let shown = match data.get(field.name()) {
            Some(Value::Text(text)) => printable(text.expose()),
            Some(Value::Filter(filter)) => printable(&json!(filter).to_string()),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Flag(flag)) => flag.to_string(),
            Some(Value::Ocsf(choices)) => printable(&json!(choices).to_string()),
            Some(Value::Null) => "(cleared)".to_owned(),
            None if field == Field::SecretAccessKey && has_secret => "(given, not shown)".to_owned(),
            None => continue,
        };
        lines.push(format!("  {:width$}  {shown}", field.name()));
    }
    if let Some(Value::Flag(true)) = data.get(FORCE) {
        lines.push("  The change is stored even if the connection test fails.".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{
        super::file::{ConfigurationFile, Kind, Purpose},
        *,
    };

    const FILE: &str = r#"{"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "filter": {"include": {"actions": ["DELETE*"]}}, "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}"#;

    #[test]
    fn all_but_the_secret_is_shown() {
        let file = ConfigurationFile::parse(FILE, Purpose::Create).unwrap();
        let shown = [OutputFormat::Table, OutputFormat::Json].map(|format| {
            render("createS3AccessKeyExportConfiguration", file.data(Kind::AccessKey, Purpose::Create), format)
        });
        insta::assert_snapshot!(shown.join("\n\n"));
    }
}
