//! Updating a configuration.

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::{
        Authentication, ExportConfiguration,
        change::{Author, Change},
        update::{Edit, NewIdentity, RawIdentity, RawUpdate, TestedAccessKey, Update, parse_update},
    },
    connection::ConnectionStatus,
};

use super::{
    connection_test::PassedTest,
    shared::{MAX_CHANGE_ATTEMPTS, Service, key_of},
    webhooks::have_new_secrets,
};
use crate::{error::ApiError, ports::EditOutcome};

/// The conditions of an update.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpdateTerms {
    /// The version to update. `None`: any.
    pub version: Option<u64>,
    /// True if another destination or role may replace a working connection without a test before.
    pub force: bool,
}

impl Service {
    /// Changes the given fields.
    ///
    /// Another destination or role is tested before it replaces a working connection, and a new access key in any case:
    /// unless the test succeeds, nothing changes. If the stored connection does not work, or the change is forced, a
    /// destination or role is stored first and tested after, so that a connection can be repaired in steps; a test that
    /// fails, or that can't be made, then undoes nothing.
    ///
    /// Nothing changes if the terms name another version than the current one.
    pub async fn update(
        &self,
        caller: &Caller,
        author: &Author,
        id: &str,
        UpdateTerms { version, force }: UpdateTerms,
        (raw, identity): (&RawUpdate<'_>, &RawIdentity<'_>),
    ) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let mut is_permitted = false;
        let mut is_counted = false;
        let mut passed: Option<PassedTest> = None;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.load(&key).await?;
            if version.is_some_and(|version| version != current.version) {
                return Err(ApiError::Conflict { current_version: current.version });
            }
            let (update, webhooks) =
                parse_update(&current, raw, identity, &self.identity, self.servers).map_err(ApiError::InvalidInput)?;
            if update.needs_a_test() && !is_permitted {
                self.take(caller, Allowance::ConnectionTests).await?;
                is_permitted = true;
            }
            let is_tested_first = match &update {
                Update::Nothing => return Ok(current),
                Update::Plain(_) => false,
                // A change that was tested in an earlier attempt is not stored without a test.
                Update::Connection { .. } => {
                    passed.is_some() || (!force && current.connection.status() == ConnectionStatus::Success)
                }
                Update::AccessKey { .. } => true,
            };
            if is_tested_first {
                // Nothing is tested that would be refused after. An attempt whose test fails counts as well.
                let edit = Edit { by: &author.subject, at: self.clock.now() };
                if !is_counted && webhooks.is_some() {
                    self.take_noticed(caller, author).await?;
                    is_counted = true;
                } else if !is_counted && let Some(after) = if_passed(&current, &update, edit) {
                    let change = Change::Update { before: &current, after: &after };
                    is_counted = self.count_noticed(caller, change, author).await?;
                }
                passed = match passed {
                    None => self.test_before_storing(&current, &update).await?,
                    Some(passed) if passed.is_of(&current, &update) => Some(passed),
                    // The test was of another result, and a second one doesn't fit into a request.
                    Some(_) => return Err(ApiError::TryAgain),
                };
                if passed.is_none() {
                    continue;
                }
            }
            if !is_counted && webhooks.as_deref().is_some_and(have_new_secrets) {
                self.take_noticed(caller, author).await?;
                is_counted = true;
            }
            let is_untested = update.needs_a_test() && !is_tested_first;
            let webhooks = match webhooks {
                Some(webhooks) => self.seal_webhooks(&key, webhooks).await?,
                None => current.webhooks.clone(),
            };
            let stamp = self.stamp();
            let edit = Edit { by: &author.subject, at: stamp.at };
            let Some(changed) = apply(&current, update, passed.as_ref().filter(|_| is_tested_first), edit) else {
                return Ok(current);
            };
            let changed = changed.with_webhooks(webhooks);
            let change = Change::Update { before: &current, after: &changed };
            is_counted = is_counted || self.count_noticed(caller, change, author).await?;
            if self.ports.changes.update(&current, &changed, author, stamp).await? == EditOutcome::Done {
                self.check_elapsed(stamp)?;
                if is_untested {
                    return self.test_at_once(changed).await;
                }
                self.start_if_repaired(&current, &changed).await;
                return Ok(changed);
            }
        }
        Err(ApiError::TryAgain)
    }
}

/// Returns the configuration after an update whose test succeeds, as far as that is known before: not the account of an access key.
fn if_passed(current: &ExportConfiguration, update: &Update, edit: Edit<'_>) -> Option<ExportConfiguration> {
    let (settings, destination, role_arn) = match update {
        Update::Nothing | Update::Plain(_) => return None,
        Update::Connection { settings, destination, role_arn } => (settings, destination, role_arn.clone()),
        Update::AccessKey { settings, destination, .. } => (settings, destination, None),
    };
    let identity = role_arn.map_or(NewIdentity::Kept, NewIdentity::Role);
    let changed = current.with_connection(settings.clone(), destination.clone(), identity, edit);
    Some(changed.having_passed(edit.at, None))
}

/// Returns the configuration after the update. `None`: nothing changes.
fn apply(
    current: &ExportConfiguration,
    update: Update,
    passed: Option<&PassedTest>,
    edit: Edit<'_>,
) -> Option<ExportConfiguration> {
    let changed = match update {
        Update::Nothing => return None,
        Update::Plain(settings) => return Some(current.with_settings(settings, edit)),
        Update::Connection { settings, destination, role_arn } => {
            let identity = role_arn.map_or(NewIdentity::Kept, NewIdentity::Role);
            current.with_connection(settings, destination, identity, edit)
        }
        Update::AccessKey { settings, destination, .. } => {
            // An untested key replaces nothing.
            let PassedTest { authentication, at, user_arn, .. } = passed?;
            let Authentication::AccessKey { access_key_id, secret } = authentication.clone() else { return None };
            let key = TestedAccessKey { access_key_id, secret, tested_at: *at, user_arn: user_arn.clone() };
            current.with_connection(settings, destination, NewIdentity::AccessKey(key), edit)
        }
    };
    Some(match passed {
        Some(passed) => changed.having_passed(passed.at, passed.user_arn.clone()),
        None => changed,
    })
}
