-- The offsets of a log that is made anew begin again: a record is told by when it was written and by its bytes besides.
ALTER TABLE rejects DROP CONSTRAINT rejects_partition_offset_key;
-- When the record was written to the log; null where the log does not say, and in rows older than this column.
ALTER TABLE rejects ADD COLUMN log_time TIMESTAMPTZ;
CREATE UNIQUE INDEX rejects_record ON rejects
    (partition, "offset", COALESCE(log_time, '-infinity'::TIMESTAMPTZ), raw_len, SHA256(raw));
