UNION ALL BY NAME
SELECT * REPLACE (
  TRY_CAST(eventTimestamp AS TIMESTAMPTZ) AS eventTimestamp,
  TRY_CAST(receivedTimestamp AS TIMESTAMPTZ) AS receivedTimestamp
)
FROM (
  SELECT
    TRY_CAST(regexp_extract(filename, 'date=([0-9-]+)[/\\][^/\\]*$', 1) AS DATE) AS date,
    unnest(CASE WHEN json_valid(event) THEN json_transform(event, '{
      "id": "VARCHAR",
      "action": "VARCHAR",
      "actionStatus": "VARCHAR",
      "actionStatusReason": "VARCHAR",
      "actor": "JSON",
      "actorIp": "VARCHAR",
      "eventTimestamp": "VARCHAR",
      "receivedTimestamp": "VARCHAR",
      "tenantId": "VARCHAR",
      "targetType": "VARCHAR",
      "targets": "JSON",
      "relatedResources": "JSON",
      "auditPayload": "JSON",
      "requestId": "VARCHAR",
      "sessionId": "VARCHAR"
    }') END)
  FROM read_parquet('audit-log/date=*/*.parquet', hive_partitioning = false, filename = true)
);
