//! The connection test, with its checks.

mod watched;

pub use self::watched::{test as ask, update};
use super::{render, target::Target};
use crate::{
    failure::Failure,
    model::{Configuration, ConnectionCheck},
    output::{Style, Tone},
    service::Service,
};

pub async fn run(target: &Target) -> Result<(), Failure> {
    let service = Service::connect(&target.service).await?;
    let answer = ask(&service, &target.id.to_string()).await?;
    let configuration: Configuration = answer.parse()?;
    service.output.print(&answer, |style| Ok(tested(&configuration, style)))?;
    outcome(&configuration)
}

/// Returns a failure if the connection test did not succeed.
pub fn outcome(configuration: &Configuration) -> Result<(), Failure> {
    match (&*configuration.connection_status, &configuration.connection_error) {
        ("SUCCESS", _) => Ok(()),
        (_, Some(error)) => Err(Failure::ConnectionFailed(error.code.to_string())),
        (status, None) => Err(Failure::ConnectionFailed(format!(
            "the status is {status}: the export configuration was changed meanwhile; test it again"
        ))),
    }
}

/// Formats the result of a test: each check and, after a success, the next steps.
fn tested(configuration: &Configuration, style: &Style) -> String {
    let mut sections = vec![checked(configuration, style)];
    if &*configuration.connection_status == "SUCCESS" {
        if !configuration.next_steps.is_empty() {
            sections.push(render::next_steps(configuration, style));
        }
        sections.extend(render::first_export(configuration, style));
    }
    sections.join("\n\n")
}

/// Formats the status of the connection, with each check and the fix of a failed one.
pub fn checked(configuration: &Configuration, style: &Style) -> String {
    let status = &configuration.connection_status;
    let painted = style.paint(render::status_tone(status), status);
    let mut lines = vec![format!("Connection to {}: {painted}", render::location(configuration))];
    let checks = &configuration.connection_checks;
    if !checks.is_empty() {
        lines.push(String::new());
        lines.extend(checks.iter().flat_map(|check| lines_of(check, style)));
    }
    // A newer service may report an error without a failed check.
    if let Some(error) = &configuration.connection_error
        && !checks.iter().any(|check| &*check.status == "FAILED")
    {
        lines.extend([
            String::new(),
            style.wrapped(&style.paint(Tone::Bad, &error.message), 0),
            explanation(&error.code),
        ]);
    }
    lines.join("\n")
}

fn lines_of(check: &ConnectionCheck, style: &Style) -> Vec<String> {
    let title = &check.title;
    match &*check.status {
        "PASSED" => vec![format!("{} {title}", style.paint(Tone::Good, "✓"))],
        "FAILED" => {
            let mut lines = vec![format!("{} {title}", style.paint(Tone::Bad, "✗"))];
            lines.extend(
                check.message.iter().map(|message| style.wrapped(&format!("    {}", style.times_in(message)), 4)),
            );
            lines.extend(check.code.iter().map(|code| format!("    {}", explanation(code))));
            lines
        }
        _ => vec![format!("{} {title} {}", style.paint(Tone::Faint, "–"), style.paint(Tone::Faint, "(not checked)"))],
    }
}

fn explanation(code: &str) -> String {
    format!("{code}: see audit-export explain {code}")
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{model, output::tests::style};

    fn tested_with(status: &str, error: &Value, checks: &Value) -> Configuration {
        let changes = json!({ "connectionStatus": status, "connectionError": error, "connectionChecks": checks });
        model::tests::configuration(&changes)
    }

    fn check(name: &str, status: &str, title: &str) -> Value {
        json!({ "check": name, "status": status, "title": title, "code": null, "message": null })
    }

    /// A configuration with a role that can be assumed and a bucket that can't be written to.
    pub fn write_denied() -> Configuration {
        let message = "Writing to the bucket acme-audit was denied. Allow s3:PutObject on the export's prefix.";
        let mut denied = check("WRITE", "FAILED", "Objects can be written under the path");
        denied["code"] = json!("WRITE_DENIED");
        denied["message"] = json!(message);
        let checks = json!([
            check("ROLE", "PASSED", "The role can be assumed with the external ID"),
            denied,
            check("KMS", "NOT_CHECKED", "The bucket's KMS key, if it has one, can be used"),
        ]);
        tested_with("FAILED", &json!({ "code": "WRITE_DENIED", "message": message }), &checks)
    }

    #[test]
    fn every_check_is_shown_with_the_fix_of_what_failed() {
        insta::assert_snapshot!(tested(&write_denied(), &style()));
        let colored = tested(&write_denied(), &Style { has_colors: true, ..style() });
        for painted in
            ["\u{1b}[32m✓\u{1b}[0m The role", "\u{1b}[31m✗\u{1b}[0m Objects", "\u{1b}[2m–\u{1b}[0m The bucket"]
        {
            assert!(colored.contains(painted), "{colored:?}");
        }
    }

    #[test]
    fn success_says_what_comes_next() {
        let checks = json!([check("WRITE", "PASSED", "Objects can be written under the path")]);
        insta::assert_snapshot!(tested(&tested_with("SUCCESS", &Value::Null, &checks), &style()));
    }

    #[test]
    fn a_failure_without_a_failed_check_is_shown() {
        let error = json!({ "code": "NEW_CODE", "message": "Something is new.\u{1b}[2J" });
        let shown = tested(&tested_with("FAILED", &error, &json!([])), &style());
        assert!(shown.contains("Something is new.[2J") && shown.contains("audit-export explain NEW_CODE"), "{shown}");
    }

    #[test]
    fn only_success_is_success() {
        assert!(outcome(&tested_with("SUCCESS", &Value::Null, &json!([]))).is_ok());
        assert_eq!(outcome(&write_denied()).unwrap_err().exit_code(), 7);
        assert_eq!(outcome(&tested_with("PENDING", &Value::Null, &json!([]))).unwrap_err().exit_code(), 7);
    }
}
