//! Typed settings from environment variables. All problems are reported at once.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// The longest accepted value of a variable, in bytes. Lambda allows 4 KiB for all variables together; the largest one
/// of this service is an inline key set for development.
pub const MAX_VALUE_LENGTH_BYTES: usize = 32 * 1024;

/// The mode of a deployment. Development allows features that are unsafe in production: plain HTTP and inline keys for
/// tokens, and short slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentMode {
    Production,
    Development,
}

impl DeploymentMode {
    #[must_use]
    pub fn is_development(self) -> bool {
        self == Self::Development
    }
}

/// All missing or invalid variables, with what is expected of each. It has no values, because they could be secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentError {
    problems: BTreeMap<String, String>,
}

impl EnvironmentError {
    /// Returns the sorted names of the missing or invalid variables, with what is expected of each.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        self.problems.iter().map(|(name, problem)| (name.as_str(), problem.as_str()))
    }
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("environment variables:")?;
        for (position, (name, problem)) in self.problems.iter().enumerate() {
            write!(formatter, "{} {name} {problem}", if position == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for EnvironmentError {}

enum Source {
    Process,
    Map(BTreeMap<String, String>),
}

/// A reader of variables that collects all problems.
///
/// A getter notes a problem and returns `None`. A caller reads all variables before it uses `?`, so that all problems
/// are found:
///
/// ```
/// # use function_runtime::environment::Environment;
/// struct Settings { events_table: String, write_shards: u8 }
///
/// fn read(environment: &mut Environment) -> Option<Settings> {
///     let events_table = environment.text("EVENTS_TABLE");
///     let write_shards = environment.integer("WRITE_SHARDS", 1..=16);
///     Some(Settings { events_table: events_table?, write_shards: write_shards? })
/// }
///
/// let mut environment = Environment::from_map([("WRITE_SHARDS", "17")]);
/// let settings = read(&mut environment);
/// let error = environment.finish(settings).err().unwrap();
/// assert_eq!(
///     error.to_string(),
///     "environment variables: EVENTS_TABLE is missing; WRITE_SHARDS must be an integer from 1 to 16"
/// );
/// ```
///
/// An empty variable counts as missing, because a template passes an empty parameter this way.
pub struct Environment {
    source: Source,
    problems: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    /// Omits the values: the process environment contains the function's AWS credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Environment").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl Environment {
    /// Creates a reader of this process's variables.
    #[must_use]
    pub fn from_process() -> Self {
        Self { source: Source::Process, problems: BTreeMap::new() }
    }

    /// Creates a reader of only the given variables.
    #[must_use]
    pub fn from_map<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { source: Source::Map(variables), problems: BTreeMap::new() }
    }

    /// Returns the settings if no problem was noted.
    ///
    /// # Errors
    /// [`EnvironmentError`] with every noted problem. If `settings` is `None` although no problem was noted, which is a
    /// bug of the caller, the error has no problems.
    pub fn finish<S>(self, settings: Option<S>) -> Result<S, EnvironmentError> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(EnvironmentError { problems: self.problems }),
        }
    }

    /// Notes a problem of the variable `name` ("is missing", "must be …"). Only the first problem of a variable is
    /// kept.
    pub fn note(&mut self, name: &str, problem: impl Into<String>) {
        self.problems.entry(name.to_owned()).or_insert_with(|| problem.into());
    }

    /// Returns whether the variable is set and not empty.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        match &self.source {
            Source::Process => std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            Source::Map(variables) => variables.get(name).is_some_and(|value| !value.is_empty()),
        }
    }

    /// Reads a required string.
    pub fn text(&mut self, name: &str) -> Option<String> {
        if !self.is_set(name) {
            self.note(name, "is missing");
            return None;
        }
        let value = match &self.source {
            Source::Process => std::env::var(name).ok(),
            Source::Map(variables) => variables.get(name).cloned(),
        };
        match value {
            None => {
                self.note(name, "must be UTF-8");
                None
            }
            Some(value) if value.len() > MAX_VALUE_LENGTH_BYTES => {
                self.note(name, format!("must be at most {MAX_VALUE_LENGTH_BYTES} bytes long"));
                None
            }
            Some(value) => Some(value),
        }
    }

    /// Reads a string, or returns `default` if it is missing.
    pub fn text_or(&mut self, name: &str, default: &str) -> Option<String> {
        if self.is_set(name) { self.text(name) } else { Some(default.to_owned()) }
    }

    /// Reads a required value with `parse`. `expected` completes the problem "must be …".
    pub fn parsed<T>(&mut self, name: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.note(name, format!("must be {expected}"));
        }
        value
    }

    /// Reads a required decimal integer within `range`, without sign and spaces.
    pub fn integer<T>(&mut self, name: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + fmt::Display + PartialOrd + TryFrom<u64>,
    {
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        self.parsed(name, &expected, |text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)?;
            let number = T::try_from(digits.parse::<u64>().ok()?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    /// Reads an integer within `range`, or returns `default` if it is missing.
    pub fn integer_or<T>(&mut self, name: &str, range: RangeInclusive<T>, default: T) -> Option<T>
    where
        T: Copy + fmt::Display + PartialOrd + TryFrom<u64>,
    {
        if self.is_set(name) { self.integer(name, range) } else { Some(default) }
    }

    /// Reads one of the given words, which must match exactly.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.parsed(name, &words.join(" or "), |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
        })
    }

    /// Reads `DEPLOYMENT_MODE`: `production` or `development`. It has no default, so that every deployment states its
    /// mode.
    pub fn deployment_mode(&mut self) -> Option<DeploymentMode> {
        let modes = [("production", DeploymentMode::Production), ("development", DeploymentMode::Development)];
        self.choice("DEPLOYMENT_MODE", &modes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of<T>(variables: &[(&str, &str)], read: impl FnOnce(&mut Environment) -> Option<T>) -> String {
        let mut environment = Environment::from_map(variables.iter().copied());
        let value = read(&mut environment);
        environment.finish(value).err().unwrap().to_string()
    }

    #[test]
    fn all_problems_are_reported_at_once_and_by_name() {
        let mut environment = Environment::from_map([
            ("RETENTION_DAYS", "0"),
            ("WRITE_SHARDS", "4 "),
            ("EVENTS_TABLE", ""),
            ("INTROSPECTION", "Enabled"),
            ("RUN_QUEUE_URL", "http://queue"),
        ]);
        let events_table = environment.text("EVENTS_TABLE");
        let retention = environment.integer::<u16>("RETENTION_DAYS", 1..=3650);
        let shards = environment.integer::<u8>("WRITE_SHARDS", 1..=16);
        let introspection = environment.choice("INTROSPECTION", &[("enabled", true), ("disabled", false)]);
        let mode = environment.deployment_mode();
        assert_eq!(environment.text("RUN_QUEUE_URL").as_deref(), Some("http://queue"));
        assert!(events_table.is_none() && retention.is_none() && shards.is_none());
        assert!(introspection.is_none() && mode.is_none());

        let error = environment.finish::<()>(None).unwrap_err();
        assert_eq!(
            error.problems().collect::<Vec<_>>(),
            [
                ("DEPLOYMENT_MODE", "is missing"),
                ("EVENTS_TABLE", "is missing"),
                ("INTROSPECTION", "must be enabled or disabled"),
                ("RETENTION_DAYS", "must be an integer from 1 to 3650"),
                ("WRITE_SHARDS", "must be an integer from 1 to 16"),
            ]
        );
    }

    #[test]
    fn a_problem_stops_a_start_even_if_settings_were_made() {
        let mut environment = Environment::from_map([("DEPLOYMENT_MODE", "PRODUCTION")]);
        assert_eq!(environment.deployment_mode(), None);
        assert!(environment.finish(Some(())).is_err());
    }

    #[test]
    fn integers_are_plain_decimals_within_their_range() {
        for bad in ["", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e0", "256", "99999999999999999999", "٣"] {
            let problem = problem_of(&[("N", bad)], |environment| environment.integer::<u8>("N", 0..=u8::MAX));
            assert!(problem.contains(" N "), "{bad:?}: {problem}");
        }
        let mut environment = Environment::from_map([("N", "16")]);
        assert_eq!(environment.integer::<u8>("N", 1..=16), Some(16));
        assert_eq!(environment.integer_or::<u32>("ABSENT", 1..=16, 7), Some(7));
        assert_eq!(environment.integer_or::<u32>("N", 1..=15, 7), None);
    }

    #[test]
    fn defaults_stand_in_for_what_is_missing_but_not_for_what_is_bad() {
        let mut environment = Environment::from_map([("PORT", ""), ("CLAIM", "")]);
        assert_eq!(environment.integer_or::<u16>("PORT", 1..=u16::MAX, 443), Some(443));
        assert_eq!(environment.text_or("CLAIM", "tenant_id").as_deref(), Some("tenant_id"));
        assert!(environment.finish(Some(())).is_ok());

        let problem = problem_of(&[("DEPLOYMENT_MODE", "Production")], Environment::deployment_mode);
        assert_eq!(problem, "environment variables: DEPLOYMENT_MODE must be production or development");
    }

    #[test]
    fn values_are_never_shown() {
        let secret = "x".repeat(MAX_VALUE_LENGTH_BYTES + 1);
        let mut environment = Environment::from_map([("A", secret.as_str()), ("B", "hidden")]);
        assert_eq!(environment.text("A"), None);
        assert_eq!(environment.integer::<u8>("B", 0..=1), None);
        let debug = format!("{environment:?}");
        let error = environment.finish::<()>(None).unwrap_err();
        for shown in [debug, error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hidden") && !shown.contains("xxx"), "{shown}");
        }
    }

    #[test]
    fn the_process_environment_is_read_without_copying_it() {
        let mut environment = Environment::from_process();
        assert!(environment.text("PATH").is_some());
        assert!(!environment.is_set("AUDIT_EXPORT_NO_SUCH_VARIABLE"));
    }
}
