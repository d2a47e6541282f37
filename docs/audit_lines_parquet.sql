UNION ALL
SELECT
  TRY_CAST(regexp_extract(filename, 'date=([0-9-]+)[/\\][^/\\]*$', 1) AS DATE) AS date,
  event,
  TRY_CAST(event AS JSON) AS json
FROM read_parquet('audit-log/date=*/*.parquet', hive_partitioning = false, filename = true);
