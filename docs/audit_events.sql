CREATE VIEW audit_events AS
SELECT * REPLACE (
  TRY_CAST(eventTimestamp AS TIMESTAMPTZ) AS eventTimestamp,
  TRY_CAST(receivedTimestamp AS TIMESTAMPTZ) AS receivedTimestamp
)
FROM read_json(
  'audit-log/date=*/*.ndjson.gz',
  format = 'newline_delimited',
  hive_partitioning = true,
  hive_types = {'date': DATE},
  columns = {
    id: 'VARCHAR',
    action: 'VARCHAR',
    actionStatus: 'VARCHAR',
    actionStatusReason: 'VARCHAR',
    actor: 'JSON',
    actorIp: 'VARCHAR',
    eventTimestamp: 'VARCHAR',
    receivedTimestamp: 'VARCHAR',
    tenantId: 'VARCHAR',
    targetType: 'VARCHAR',
    targets: 'JSON',
    relatedResources: 'JSON',
    auditPayload: 'JSON',
    requestId: 'VARCHAR',
    sessionId: 'VARCHAR'
  }
);
