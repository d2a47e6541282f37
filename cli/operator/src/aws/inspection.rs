//! The state of the stack's resources.

use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TimeToLiveStatus};
use aws_sdk_scheduler::types::ScheduleState;
use domain::time::Timestamp;

use super::{
    Aws,
    answer::{call, incomplete},
};
use crate::{
    call::Call,
    failure::CallFailure,
    ports::{AlarmState, Concurrency, DataPoint, Inspection, KeyState, MetricQuery, TableState},
};

impl Inspection for Aws {
    async fn is_schedule_enabled(&self, group: &str, name: &str) -> Result<bool, CallFailure> {
        let request = self.scheduler.get_schedule().group_name(group).name(name);
        Ok(call(Call::GetSchedule, request.send()).await?.state == Some(ScheduleState::Enabled))
    }

    async fn key(&self, id: &str, is_rotated: bool) -> Result<KeyState, CallFailure> {
        let key = call(Call::DescribeKey, self.kms.describe_key().key_id(id).send()).await?.key_metadata;
        let state = key.and_then(|key| key.key_state).ok_or_else(|| incomplete(Call::DescribeKey, "KeyState"))?;
        let mut is_really_rotated = None;
        if is_rotated {
            let request = self.kms.get_key_rotation_status().key_id(id);
            is_really_rotated = Some(call(Call::GetKeyRotationStatus, request.send()).await?.key_rotation_enabled);
        }
        Ok(KeyState { state: state.as_str().to_owned(), is_rotated: is_really_rotated })
    }

    async fn table(&self, name: &str) -> Result<TableState, CallFailure> {
        let table = call(Call::DescribeTable, self.dynamodb.describe_table().table_name(name).send()).await?.table;
        let request = self.dynamodb.describe_time_to_live().table_name(name);
        let time_to_live = call(Call::DescribeTimeToLive, request.send()).await?.time_to_live_description;
        let request = self.dynamodb.describe_continuous_backups().table_name(name);
        let backups = call(Call::DescribeContinuousBackups, request.send()).await?.continuous_backups_description;
        let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
        let status = table.and_then(|table| table.table_status);
        Ok(TableState {
            status: status.ok_or_else(|| incomplete(Call::DescribeTable, "TableStatus"))?.as_str().to_owned(),
            has_time_to_live: time_to_live.and_then(|state| state.time_to_live_status)
                == Some(TimeToLiveStatus::Enabled),
            has_recovery: recovery.and_then(|state| state.point_in_time_recovery_status)
                == Some(PointInTimeRecoveryStatus::Enabled),
        })
    }

    async fn alarms(&self, names: &[String]) -> Result<Vec<AlarmState>, CallFailure> {
        self.cloudwatch.alarms(names).await
    }

    async fn metric(&self, query: &MetricQuery) -> Result<Vec<DataPoint>, CallFailure> {
        self.cloudwatch.metric(query).await
    }

    async fn concurrency(&self) -> Result<Concurrency, CallFailure> {
        let limit = call(Call::GetAccountSettings, self.lambda.get_account_settings().send()).await?.account_limit;
        let limit = limit.ok_or_else(|| incomplete(Call::GetAccountSettings, "AccountLimit"))?;
        Ok(Concurrency {
            limit: u64::try_from(limit.concurrent_executions).unwrap_or_default(),
            unreserved: limit.unreserved_concurrent_executions.and_then(|number| number.try_into().ok()).unwrap_or(0),
        })
    }

    async fn aws_time(&self) -> Result<Timestamp, CallFailure> {
        self.cloudwatch.time().await
    }
}
