UNION ALL BY NAME
SELECT * REPLACE (
  TRY_CAST(eventTimestamp AS TIMESTAMPTZ) AS eventTimestamp,
  TRY_CAST(receivedTimestamp AS TIMESTAMPTZ) AS receivedTimestamp
)
FROM (
  SELECT date, unnest(json_transform(event, '{
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
  }'))
  FROM read_parquet('audit-log/date=*/*.parquet', hive_partitioning = true, hive_types = {'date': DATE})
);
