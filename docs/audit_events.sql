SET TimeZone = 'UTC';
CREATE VIEW audit_events AS
SELECT
  * EXCLUDE (filename) REPLACE (
    TRY_CAST(eventTimestamp AS TIMESTAMPTZ) AS eventTimestamp,
    TRY_CAST(receivedTimestamp AS TIMESTAMPTZ) AS receivedTimestamp
  ),
  TRY_CAST(regexp_extract(filename, 'date=([0-9-]+)[/\\][^/\\]*$', 1) AS DATE) AS date
FROM read_json(
  'audit-log/date=*/*.ndjson.gz',
  format = 'newline_delimited',
  hive_partitioning = false,
  filename = true,
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
