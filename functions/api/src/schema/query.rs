//! The queries.

use std::{fmt, str::FromStr};

use async_graphql::{Context, ID, MergedObject, Object, Result, connection::Connection};
use domain::{configuration::ConfigurationId, time::Timestamp};

use super::{
    configuration::ExportConfiguration,
    connection_tests::ConnectionTestQuery,
    context,
    digests::DigestQuery,
    jobs::JobQuery,
    pages::{self, Cursor},
    policies::PolicyQuery,
    repairs::RepairQuery,
    replays::ReplayQuery,
    service::ServiceQuery,
};
use crate::service::position_of;

/// The queries. Each returns data of the tenant that the token names.
#[derive(Default, MergedObject)]
pub struct Query(
    ConfigurationQuery,
    ConnectionTestQuery,
    ServiceQuery,
    JobQuery,
    DigestQuery,
    PolicyQuery,
    RepairQuery,
    ReplayQuery,
);

#[derive(Default)]
pub struct ConfigurationQuery;

// Fields that can fail are nullable, so that a failure leaves the other fields of the response.
#[Object]
impl ConfigurationQuery {
    /// All export configurations, the oldest first.
    async fn get_all_export_configurations(&self, context: &Context<'_>) -> Result<Option<Vec<ExportConfiguration>>> {
        let (service, caller, listed) = context::of_list(context)?;
        let configurations = service.list(caller, listed).await?;
        Ok(Some(configurations.iter().cloned().map(Into::into).collect()))
    }

    /// One export configuration. `NOT_FOUND`: there is none with this ID.
    async fn get_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.get(caller, &id).await?.into()))
    }

    /// The export configurations in pages, the oldest first.
    async fn export_configurations(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The number of items, from 1 to 100. The default is 20.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the item before the page.")] after: Option<String>,
    ) -> Result<Option<Connection<Cursor, ExportConfiguration>>> {
        let (service, caller, listed) = context::of_list(context)?;
        let position = pages::position::<Position>(after.as_deref())?;
        let position = position.map(|Position(created_at, id)| (created_at, id));
        let page = service.page(caller, listed, position, pages::limit(first)?).await?;
        Ok(Some(pages::connection(page, after.is_none(), |configuration| {
            let (created_at, id) = position_of(configuration);
            Position(created_at, id)
        })))
    }
}

/// The position of a configuration among the others: `<time of creation>_<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position(Timestamp, ConfigurationId);

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.0, self.1)
    }
}

/// A text that is not a position.
#[derive(Clone, Copy, Debug)]
struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (created_at, id) = text.split_once('_').ok_or(PositionError)?;
        let created_at = Timestamp::parse(created_at).map_err(|_| PositionError)?;
        Ok(Self(created_at, ConfigurationId::parse(id).ok_or(PositionError)?))
    }
}
