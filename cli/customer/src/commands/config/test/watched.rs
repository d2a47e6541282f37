//! Requests that test a connection. At a terminal, the checks are shown as they end.

use std::{
    cell::OnceCell,
    io::{IsTerminal, stderr},
    pin::pin,
    time::Duration,
};

use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    api::{Answer, Operation, operations},
    failure::Failure,
    model::{ConnectionCheck, ConnectionTest},
    output::{Style, Tone},
    service::{Service, WAITING},
    spinner::Spinner,
};

const TESTING: &str = "Testing the connection";
/// The pause between two questions for the progress.
const PAUSE: Duration = Duration::from_millis(500);

/// Tests the connection. Until it responds, the checks that have passed are shown below a spinner.
pub async fn test(service: &Service, id: &str) -> Result<Answer, Failure> {
    watched(service, id, TESTING, &operations::TEST, &json!({ "id": id })).await
}

/// Sends an update of a configuration. While the service tests the change, the checks that have passed are shown below a
/// spinner.
pub async fn update(
    service: &Service,
    id: &str,
    operation: &Operation,
    variables: &impl Serialize,
) -> Result<Answer, Failure> {
    watched(service, id, WAITING, operation, variables).await
}

async fn watched(
    service: &Service,
    id: &str,
    activity: &'static str,
    operation: &Operation,
    variables: &impl Serialize,
) -> Result<Answer, Failure> {
    if !stderr().is_terminal() {
        // Nobody would see the progress.
        return service.ask(operation, variables).await;
    }
    // A request that ends before the first question shows no spinner.
    let shown = OnceCell::new();
    let spinner = || shown.get_or_init(|| Spinner::new(activity));
    let of_configuration = json!({ "id": id });
    let poll = async || -> Result<Option<String>, Failure> {
        spinner();
        let test: ConnectionTest = service.poll(&operations::CONNECTION_TEST, &of_configuration).await?.parse()?;
        Ok(test.is_running.then(|| progress(&test.checks, &service.output.style)))
    };
    watching(service.poll(operation, variables), poll, |text| spinner().set_message(text)).await
}

/// Awaits `request`, and shows what `poll` returns meanwhile. Without progress, as with an earlier version of the service, it
/// only waits.
async fn watching<T>(
    request: impl Future<Output = T>,
    mut poll: impl AsyncFnMut() -> Result<Option<String>, Failure>,
    mut show: impl FnMut(String),
) -> T {
    let mut request = pin!(request);
    let watch = async {
        loop {
            sleep(PAUSE).await;
            match poll().await {
                Ok(Some(progress)) => show(progress),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        biased;
        answer = &mut request => return answer,
        () = watch => {}
    }
    request.await
}

fn progress(checks: &[ConnectionCheck], style: &Style) -> String {
    let passed = checks.iter().filter(|check| &*check.status == "PASSED");
    let lines = passed.map(|check| format!("\n{} {}", style.paint(Tone::Good, "✓"), check.title));
    format!("{TESTING}{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::output::tests::style;

    /// Watches a test of 2.2 s, with these answers to the questions. Returns what was shown, and how often it was asked.
    async fn watch(answers: Vec<Result<Option<&str>, Failure>>) -> (Vec<String>, usize) {
        let (shown, asked, start) = (RefCell::new(Vec::new()), RefCell::new(0), Instant::now());
        let answers = RefCell::new(answers.into_iter());
        let test = async {
            sleep(Duration::from_millis(2_200)).await;
            "tested"
        };
        let poll = async || {
            *asked.borrow_mut() += 1;
            answers.borrow_mut().next().unwrap_or(Ok(None)).map(|text| text.map(str::to_owned))
        };
        assert_eq!(watching(test, poll, |text| shown.borrow_mut().push(text)).await, "tested");
        assert_eq!(start.elapsed(), Duration::from_millis(2_200), "nothing delays the test");
        (shown.into_inner(), asked.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_asked_for_twice_a_second_and_shown_until_the_test_responds() {
        let answers = vec![Ok(None), Ok(Some("one")), Ok(Some("two")), Ok(Some("three"))];
        assert_eq!(watch(answers).await, (["one", "two", "three"].map(str::to_owned).to_vec(), 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_test_without_progress_is_awaited() {
        assert_eq!(watch(vec![Err(Failure::Unfinished("no such field".to_owned()))]).await, (vec![], 1));
    }

    #[test]
    fn the_checks_that_have_passed_are_shown() {
        let checks: Vec<ConnectionCheck> = serde_json::from_value(json!([
            { "status": "NOT_CHECKED", "title": "The endpoints can be reached" },
            { "status": "PASSED", "title": "The role can be assumed\u{1b}[2J" },
        ]))
        .unwrap();
        assert_eq!(progress(&checks, &style()), "Testing the connection\n✓ The role can be assumed[2J");
        assert_eq!(progress(&[], &style()), "Testing the connection");
    }
}
