-- After a pause the mirror compares the rows of ours that have not ended with the cluster. They are few, however long the history is.
create index if not exists test_runs_unfinished on test_runs (uid) where uid is not null and status not in ('COMPLETED', 'FAILED');
