-- The offsets of a log that is made anew begin again: a record is told by when it was written and by its bytes besides.
CREATE TABLE rejects_anew (
    id        INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    "offset"  INTEGER NOT NULL,
    -- When the record was written to the log; null where the log does not say, and in rows older than this column.
    log_time  INTEGER,
    reason    TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    -- The bytes as they were read, of a long record the beginning.
    raw       BLOB    NOT NULL,
    -- How many bytes the record has.
    raw_len   INTEGER NOT NULL
) STRICT;

INSERT INTO rejects_anew SELECT id, partition, "offset", NULL, reason, detail, raw, raw_len FROM rejects;
DROP TABLE rejects;
ALTER TABLE rejects_anew RENAME TO rejects;
CREATE INDEX rejects_place ON rejects (partition, "offset");
