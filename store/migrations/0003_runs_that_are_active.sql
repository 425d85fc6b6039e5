-- Clients ask over and over which systems are under load. Those are few, however many runs there ever were.
create index if not exists test_runs_that_are_active on test_runs (submitted_at desc, run_id collate "C" desc)
    where status in ('WAITING_ROOM', 'EXECUTING');
