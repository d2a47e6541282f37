CREATE VIEW audit_lines AS
SELECT
  TRY_CAST(regexp_extract(filename, 'date=([0-9-]+)[/\\][^/\\]*$', 1) AS DATE) AS date,
  event,
  TRY_CAST(event AS JSON) AS json
FROM read_csv(
  'audit-log/date=*/*.ndjson.gz',
  columns = {event: 'VARCHAR'},
  auto_detect = false,
  header = false,
  delim = '\x01',
  quote = '',
  escape = '',
  new_line = '\n',
  hive_partitioning = false,
  filename = true
);
