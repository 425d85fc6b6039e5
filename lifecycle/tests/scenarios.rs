//! Scenario scripts: each tells the story of a run in domain words, and what was decided when.
//!
//! A script in `tests/scenarios` is a story, a line `---` and the timeline that must come of it. The words are explained
//! in `world/script.rs`. With `UPDATE_EXPECT=1` the timelines are written anew; read the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test that cannot go on says so by ending, and the scripts are files")]

mod world;

use std::{fs, path::Path};

/// Plays one script and compares its timeline.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()));
    let (story, expected) = text.split_once("---\n").unwrap_or((&text, ""));
    let timeline = world::play(story);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, format!("{story}---\n{timeline}")).unwrap();
        return;
    }
    assert!(timeline == expected, "{name}: the timeline differs\n--- expected\n{expected}--- decided\n{timeline}");
}

macro_rules! scenarios {
    ($($name:ident)+) => {
        $(#[test] fn $name() { check(stringify!($name)); })+

        #[test]
        fn every_script_is_played() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
            let mut scripts: Vec<String> = fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            scripts.sort();
            let mut played = vec![$(stringify!($name).to_owned()),+];
            played.sort();
            assert_eq!(scripts, played);
        }
    };
}

scenarios! {
    arms_at_two_systems
    arms_at_two_systems_deleted
    happy_path
    warm_start_in_one_pass
    worker_lost_before_the_start
    worker_lost_during_the_load
    worker_lost_after_the_load
    worker_gone_after_its_upload
    worker_out_of_memory
    worker_silent_with_its_node
    worker_ends_early_by_itself
    barrier_deadline
    no_room_for_a_worker
    image_cannot_be_pulled
    pods_are_rejected
    stop_while_pending
    stop_before_the_first_status
    stop_while_queued
    stop_in_the_waiting_room
    stop_during_the_load
    stop_while_collecting
    stop_and_a_worker_hangs
    plan_missing_at_first
    plan_never_comes
    plan_is_wrong
    plan_edited_during_the_load
    plan_deleted_during_the_load
    frozen_plan_deleted
    secret_missing
    secret_gone_before_the_first_status
    secret_without_password
    workload_unreadable
    workload_in_two_objects
    query_in_two_objects
    cluster_of_the_same_kind
    cluster_of_another_kind
    run_id_asked_for
    run_id_taken
    run_id_of_another_time
    sut_unreachable
    password_refused
    query_refused
    abort_rule
    queued_behind_another_run
    queue_deadline
    holder_died_without_giving_back
    deleted_while_pending
    deleted_before_the_first_status
    deleted_while_queued
    deleted_in_the_waiting_room
    deleted_during_the_load
    deleted_while_collecting
    deleted_after_the_end
    deleted_with_a_dead_node
    results_missing
    results_corrupt
    operator_dies_before_the_start_order
    operator_dies_during_the_load
    operator_dies_while_collecting
    kept_for_a_while_after_the_end
    load_that_never_ends
    fault_kills_a_pod
    fault_that_lasts
    faults_that_overlap
    fault_without_a_target
    fault_in_a_closed_namespace
    fault_without_chaos_mesh
    fault_that_is_late
    fault_whose_time_has_passed
    fault_healed_while_the_operator_was_away
    stop_while_a_fault_is_on
    deleted_while_a_fault_is_on
    deleted_with_a_fault_that_does_not_heal
    worker_lost_while_a_fault_is_on
    fault_that_does_not_heal
    fault_that_is_not_confirmed
    fault_that_is_refused
    fault_waits_for_a_steady_load
    fault_waits_for_its_target
    fault_follows_a_replaced_target
    fault_with_too_many_targets
    fixtures_are_loaded
    fixtures_are_found_as_they_were_loaded
    fixtures_of_a_run_that_writes
    fixture_without_files
    fixture_that_is_an_archive
    fixture_that_cannot_be_listed_for_a_while
    fixture_that_is_wrong
    loader_killed_and_started_again
    loader_lost_too_often
    loader_out_of_memory
    loader_refused_by_its_table
    loader_deadline
    loader_job_deleted
    stop_while_loading
    deleted_while_loading
    operator_dies_while_loading
}
