//! The Nth write, sync or rename fails, is torn, or is the last one before the power goes out; for every N.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::disk::sim::{Failure, Loss};

/// One step of the workload, and what the store holds when it is done.
struct Step {
    run: fn(&Store) -> Result<(), StoreError>,
    after: Model,
}

fn apply(model: &mut Model, user: u8, table: Table, slot: &[u8], value: Option<&[u8]>) {
    let slots = model.entry(user).or_default();
    match value {
        Some(value) => slots.insert((table, slot.to_vec()), value.to_vec()),
        None => slots.remove(&(table, slot.to_vec())),
    };
    if slots.is_empty() {
        model.remove(&user);
    }
}

/// First writes, overwrites, deletes, many users at once, forgetting, a slot that is taken again, compaction.
fn steps() -> Vec<Step> {
    let mut model = Model::new();
    let mut steps = Vec::new();
    let mut step = |run, model: &Model| {
        let after = model.clone();
        steps.push(Step { run, after });
    };
    apply(&mut model, 0, RECORDS, b"1", Some(b"first of zero"));
    step(|store| store.commit(&put(&scope(0), b"1", b"first of zero")).map(drop), &model);

    for user in 1..4 {
        apply(&mut model, user, RECORDS, b"1", Some(b"many"));
        apply(&mut model, user, HEADS, b"h", Some(&[user; 3000]));
    }
    step(
        |store| {
            let batches: Vec<_> =
                (1..4).map(|user| put(&scope(user), b"1", b"many").put(HEADS, b"h", [user; 3000])).collect();
            store.commit_many(&batches).map(drop)
        },
        &model,
    );

    apply(&mut model, 0, RECORDS, b"1", Some(b"second of zero"));
    apply(&mut model, 0, HEADS, b"h", Some(b"head"));
    step(
        |store| {
            let batch = put(&scope(0), b"1", b"second of zero").put(HEADS, b"h", b"head");
            store.commit(&batch).map(drop)
        },
        &model,
    );

    model.remove(&2);
    step(|store| store.forget(&scope(2)), &model);

    apply(&mut model, 4, RECORDS, b"x", Some(b"takes the slot of two"));
    apply(&mut model, 1, HEADS, b"h", None);
    step(
        |store| {
            let batches = [put(&scope(4), b"x", b"takes the slot of two"), Batch::new(&scope(1)).delete(HEADS, b"h")];
            store.commit_many(&batches).map(drop)
        },
        &model,
    );

    step(Store::compact, &model);

    apply(&mut model, 2, RECORDS, b"1", Some(b"two is back"));
    step(|store| store.commit(&put(&scope(2), b"1", b"two is back")).map(drop), &model);

    model.remove(&0);
    step(|store| store.forget(&scope(0)), &model);
    steps
}

const USERS: u8 = 5;

/// Creates a store and runs the steps until something fails. Returns how many steps were acknowledged.
fn run(disk: &SimDisk, steps: &[Step]) -> Option<usize> {
    let store = create(disk).ok()?;
    for (done, step) in steps.iter().enumerate() {
        if (step.run)(&store).is_err() {
            // A store that failed still answers, with what was or what should be, or with an error.
            for user in 0..USERS {
                if let Ok(rows) = store.scan(Scan::new(&scope(user), RECORDS)) {
                    let is = |model: &Model| {
                        let slots = model.get(&user).into_iter().flatten();
                        let records = slots.filter(|((table, _), _)| *table == RECORDS);
                        records.map(|((_, slot), value)| (slot.clone(), value.clone())).eq(rows.iter().cloned())
                    };
                    assert!(is(&before(steps, done)) || is(&step.after), "user {user} after step {done} failed");
                }
            }
            return Some(done);
        }
    }
    Some(steps.len())
}

fn before(steps: &[Step], step: usize) -> Model {
    step.checked_sub(1).map_or_else(Model::new, |last| steps[last].after.clone())
}

#[test]
fn a_fault_at_any_operation_leaves_old_or_new() {
    let steps = steps();
    let whole = SimDisk::default();
    assert_eq!(run(&whole, &steps), Some(steps.len()));
    let operations = whole.operations();
    assert!(operations > 100, "{operations} operations exercise little");
    let mut rng = ChaCha8Rng::seed_from_u64(7);

    for nth in 1..=operations {
        for failure in Failure::ALL {
            let disk = SimDisk::default();
            disk.fail_at(nth, failure);
            let done = run(&disk, &steps);
            for loss in [Loss::Nothing, Loss::AllUnsynced, Loss::SomeUnsynced, Loss::SomeUnsynced] {
                let case = format!("operation {nth}, {failure:?}, loss {loss:?}, {done:?} steps done");
                let found = disk.after_crash(loss, &mut rng);
                let store = match (open(&found), done) {
                    (Ok(store), _) => store,
                    // Creation was not acknowledged: there is no store, and one can be made.
                    (Err(OpenError::NotFound { .. }), None) => {
                        create(&found).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                        continue;
                    }
                    (Err(error), _) => panic!("{case}: {error:?}"),
                };
                let done = done.unwrap_or(0);
                let contents = contents(&store, USERS).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                let old = before(&steps, done);
                let new = steps.get(done).map_or(&old, |step| &step.after);
                assert!(contents == old || contents == *new, "{case}: neither old nor new");
                let report = store.check().unwrap();
                assert!(report.is_whole(), "{case}: {report:?}");
                let listed: Vec<_> = store.users().unwrap().iter().map(|user| user.get()).collect();
                // A user without values who was not forgotten is listed too.
                assert!(contents.keys().all(|&user| listed.contains(&u128::from(user))), "{case}");
                // And it goes on: who was there can be forgotten, and the next one takes the slot.
                store.forget(&scope(1)).unwrap();
                store.commit(&put(&scope(9), b"9", b"nine")).unwrap();
                assert_eq!(store.get(&scope(9), RECORDS, b"9").unwrap().unwrap(), b"nine");
                assert_eq!(store.get(&scope(1), RECORDS, b"1").unwrap(), None);
                assert!(store.check().unwrap().is_whole(), "{case}");
            }
        }
    }
}

#[test]
fn a_fault_while_a_snapshot_is_made_leaves_the_store_and_no_half_snapshot() {
    let steps = steps();
    let disk = SimDisk::default();
    run(&disk, &steps);
    let start = disk.operations();
    let target = Path::new("snapshot");
    open(&disk).unwrap().snapshot(target).unwrap();
    let operations = disk.operations() - start;
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let expected = steps.last().unwrap().after.clone();

    for nth in 1..=operations {
        for failure in Failure::ALL {
            let disk = SimDisk::default();
            run(&disk, &steps);
            {
                let store = open(&disk).unwrap();
                disk.fail_at(nth, failure);
                let _ = store.snapshot(target);
            }
            for loss in [Loss::Nothing, Loss::AllUnsynced, Loss::SomeUnsynced] {
                let case = format!("operation {nth}, {failure:?}, loss {loss:?}");
                let found = disk.after_crash(loss, &mut rng);
                let store = open(&found).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                assert_eq!(contents(&store, USERS).unwrap(), expected, "{case}");
                drop(store);
                let other = Path::new("restored");
                match snapshot::restore_on(super::disk(&found), target, other, &key()) {
                    Ok(store) => assert_eq!(contents(&store, USERS).unwrap(), expected, "{case}"),
                    Err(OpenError::NotFound { .. }) => assert!(!found.exists(target).unwrap(), "{case}"),
                    Err(error) => panic!("{case}: {error:?}"),
                }
            }
        }
    }
}

#[test]
fn a_fault_while_a_snapshot_is_restored_leaves_the_snapshot_and_no_half_store() {
    let steps = steps();
    let (snapshot, target, later) = (Path::new("snapshot"), Path::new("restored"), Path::new("later"));
    let made = SimDisk::default();
    run(&made, &steps);
    open(&made).unwrap().snapshot(snapshot).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let again = |rng: &mut ChaCha8Rng| made.after_crash(Loss::Nothing, rng);
    let restore = |disk: &SimDisk, to| snapshot::restore_on(super::disk(disk), snapshot, to, &key());
    let whole = again(&mut rng);
    drop(restore(&whole, target).unwrap());
    let expected = &steps.last().unwrap().after;

    for nth in 1..=whole.operations() {
        for failure in Failure::ALL {
            let disk = again(&mut rng);
            disk.fail_at(nth, failure);
            let restored = restore(&disk, target).is_ok();
            for loss in [Loss::Nothing, Loss::AllUnsynced, Loss::SomeUnsynced] {
                let case = format!("operation {nth}, {failure:?}, loss {loss:?}");
                let found = disk.after_crash(loss, &mut rng);
                match StoreOptions::new().open_on(super::disk(&found), target, &key()) {
                    Ok(store) => assert_eq!(contents(&store, USERS).unwrap(), *expected, "{case}"),
                    Err(OpenError::NotFound { .. }) => assert!(!restored, "{case}"),
                    Err(error) => panic!("{case}: {error:?}"),
                }
                let store = restore(&found, later).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                assert_eq!(contents(&store, USERS).unwrap(), *expected, "{case}");
            }
        }
    }
}
