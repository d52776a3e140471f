use super::*;
use crate::apiserver::schema::Catalog;

fn meta(finalizers: &[&str], deleted: Option<u64>) -> Meta {
    let mut meta = Meta { generation: 1, deleted, grace: deleted.map(|_| 0), ..Meta::default() };
    meta.set_finalizers(finalizers.iter().copied());
    meta
}

/// (finalizers after, marked now) or `None` if the object goes or nothing changes.
fn check(before: &Meta, propagation: Option<Propagation>, expected: Option<(&[&str], u64)>) {
    match (delete(before, propagation, 0, false, false, 50), expected) {
        (Deletion::Mark(after), Some((finalizers, generation))) => {
            assert_eq!(after.finalizers().collect::<Vec<_>>(), finalizers, "{before:?}");
            assert_eq!(after.generation, generation, "{before:?}");
            assert!(after.deleted.is_some());
        }
        (Deletion::Remove | Deletion::Pending, None) => {}
        (found, expected) => panic!("{before:?} by {propagation:?}: {found:?}, not {expected:?}"),
    }
}

#[test]
fn a_delete_marks_what_finalizers_hold_and_removes_the_rest() {
    let fore = Some(Propagation::Foreground);
    check(&meta(&[], None), None, None);
    check(&meta(&[], None), Some(Propagation::Background), None);
    check(&meta(&["a/b"], None), None, Some((&["a/b"], 2)));
    check(&meta(&[], None), fore, Some((&[FOREGROUND], 2)));
    check(&meta(&["a/b"], None), Some(Propagation::Orphan), Some((&["a/b", ORPHAN], 2)));
    check(&meta(&[FOREGROUND], None), Some(Propagation::Background), None);
    check(&meta(&[ORPHAN], None), fore, Some((&[FOREGROUND], 2)));
}

#[test]
fn deleting_twice_changes_nothing_but_a_new_policy() {
    let marked = meta(&["a/b"], Some(40));
    assert_eq!(delete(&marked, None, 0, false, false, 50), Deletion::Pending);
    check(&marked, Some(Propagation::Foreground), Some((&["a/b", FOREGROUND], 1)));
}

#[test]
fn grace_and_outside_holders_keep_an_object() {
    let Deletion::Mark(after) = delete(&meta(&[], None), None, 30, false, false, 50) else { panic!("waits 30 s") };
    assert_eq!((after.deleted, after.grace), (Some(80), Some(30)));
    assert!(!finished(&after, false), "the grace period is not over");
    let Deletion::Mark(after) = delete(&after, None, 0, true, false, 55) else { panic!("shortened") };
    assert_eq!((after.deleted, after.grace), (Some(55), Some(0)));
    assert!(!finished(&after, true));
    assert!(finished(&after, false));
}

#[test]
fn generation_counts_intent_alone() {
    let catalog = Catalog::builtin();
    let deployments = catalog.find("apps", "v1", "deployments").unwrap();
    let config_maps = catalog.find("", "v1", "configmaps").unwrap();
    let spec = Changes { spec: true, ..Changes::default() };
    let status = Changes { status: true, meta: true, managers: true, ..Changes::default() };
    let rest = Changes { rest: true, ..Changes::default() };
    assert_eq!(next_generation(deployments, 3, spec), 4);
    assert_eq!(next_generation(deployments, 3, status), 3);
    assert_eq!(next_generation(config_maps, 0, rest), 0);
    let mut application = (**deployments).clone();
    (application.custom, application.has_status) = (true, false);
    assert_eq!(next_generation(&application, 3, status), 4, "status is intent without a status subresource");
}
