//! The order of one call's changes: changes of different objects side by side, those of one object one after another.
//!
//! A queue hands over several messages in one call, and a FIFO queue may put several messages of one group into it. So
//! the order of one object's changes has to be kept within a call too:
//! - the oldest change comes first: by sequencer where both changes have one, otherwise as they were delivered;
//! - a change that was delivered twice is done once;
//! - after a change that has to be retried, the object's later changes are retried too ("Using FIFO queues" in the
//!   documentation of Powertools for AWS Lambda's batch processing has the same rule for a message group).

use std::cmp::Ordering;
use std::collections::HashMap;

use super::outcome::{DocumentFailure, Outcome, Times};
use crate::record::{Change, ChangeKind, compare_sequencers};

/// The indices of one object's changes, oldest first; each entry is one change and the ones that repeat it.
pub type ObjectChanges = Vec<Vec<usize>>;

/// Groups `changes` by object; the objects in the order of their first change.
pub fn by_object(changes: &[Change]) -> Vec<ObjectChanges> {
    let mut places = HashMap::new();
    let mut objects: Vec<Vec<usize>> = Vec::new();
    for (index, Change { bucket, key, .. }) in changes.iter().enumerate() {
        let place = *places.entry((bucket, key)).or_insert(objects.len());
        match objects.get_mut(place) {
            Some(object) => object.push(index),
            None => objects.push(vec![index]),
        }
    }
    objects.into_iter().map(|object| oldest_first(object, changes)).collect()
}

/// Orders one object's changes and joins those that repeat another.
fn oldest_first(mut object: Vec<usize>, changes: &[Change]) -> ObjectChanges {
    // Changes without a sequencer cannot be compared, so one of them leaves all of them as they were delivered.
    if object.iter().all(|&index| changes[index].sequencer.is_some()) {
        object.sort_by(|&a, &b| match (&changes[a].sequencer, &changes[b].sequencer) {
            (Some(a), Some(b)) => compare_sequencers(a, b),
            _ => Ordering::Equal,
        });
    }
    let mut ordered: ObjectChanges = Vec::new();
    for index in object {
        match ordered.last_mut() {
            Some(last) if repeats(&changes[index], &changes[last[0]]) => last.push(index),
            _ => ordered.push(vec![index]),
        }
    }
    ordered
}

/// Whether `change` asks for the work that `earlier`, the object's change before it, has done. A version's bytes never
/// change; without versions only the same event asks for the same work.
fn repeats(change: &Change, earlier: &Change) -> bool {
    let same_version = change.version.is_some() && change.version == earlier.version;
    let same_event = change.sequencer == earlier.sequencer && change.etag == earlier.etag;
    change.kind == earlier.kind
        && !matches!(change.kind, ChangeKind::Other(_))
        && change.version == earlier.version
        && (same_version || same_event)
        && (earlier.force || !change.force)
}

/// The outcome of a change that repeats one with `outcome`.
pub fn repeated(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Embedded { .. } => Outcome::Unchanged,
        outcome => outcome.clone(),
    }
}

/// The change after which an object has no outcome record, if its last outcome that says anything of one says so;
/// `outcomes` are the object's, with their changes' indices. [`Outcome::Removed`] has deleted the record already.
pub fn without_record(outcomes: &[(usize, Outcome, Times)]) -> Option<usize> {
    let (index, outcome, _) = outcomes.iter().rfind(|(_, outcome, _)| outcome.leaves_record().is_some())?;
    (matches!(outcome, Outcome::Embedded { .. }) && outcome.leaves_record() == Some(false)).then_some(*index)
}

/// The outcome of a change that comes after one that has to be retried.
pub fn after_a_retry() -> Outcome {
    let reason = "an earlier change of this object has to be retried first".to_owned();
    Outcome::Failed(DocumentFailure { cause: "earlier_change", reason, retryable: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::extract::SkippedRecords;

    fn change(key: &str, sequencer: Option<&str>) -> Change {
        let sequencer = sequencer.map(str::to_owned);
        let (bucket, key) = ("documents".to_owned(), key.to_owned());
        Change { kind: ChangeKind::Created, bucket, key, version: None, etag: None, sequencer, force: false }
    }

    fn of_version(version: &str, sequencer: &str) -> Change {
        Change { version: Some(version.to_owned()), ..change("a", Some(sequencer)) }
    }

    #[test]
    fn changes_of_one_object_are_ordered_by_their_sequencers() {
        let changes =
            [change("a", Some("03")), change("b", Some("09")), change("a", Some("01")), change("a", Some("02"))];
        assert_eq!(by_object(&changes), [vec![vec![2], vec![3], vec![0]], vec![vec![1]]]);
    }

    #[test]
    fn an_older_record_goes_when_the_last_word_on_it_is_whole() {
        let embedded = |count| Outcome::Embedded {
            chunks: 1,
            tokens: 1,
            skipped_records: SkippedRecords { count, ..SkippedRecords::default() },
        };
        let skipped = || Outcome::Skipped { cause: "too_large", reason: String::new() };
        let ignored = || Outcome::Ignored { why: "the event tells of no new content" };
        let of = |outcomes: Vec<Outcome>| {
            let indexed = outcomes.into_iter().enumerate().map(|(index, outcome)| (index, outcome, Times::default()));
            without_record(&indexed.collect::<Vec<_>>())
        };
        assert_eq!(of(vec![embedded(0)]), Some(0));
        assert_eq!(of(vec![embedded(0), ignored()]), Some(0), "an event of no content does not hide it");
        assert_eq!(of(vec![skipped(), embedded(0), Outcome::Unchanged]), Some(1));
        assert_eq!(of(vec![embedded(0), skipped()]), None);
        assert_eq!(of(vec![embedded(2)]), None);
        assert_eq!(of(vec![embedded(0), Outcome::Removed]), None);
        assert_eq!(of(vec![ignored()]), None);
    }

    #[test]
    fn changes_without_sequencers_stay_as_they_were_delivered() {
        let removed = Change { kind: ChangeKind::Removed, ..change("a", None) };
        let changes = [change("a", Some("03")), removed, change("a", Some("01"))];
        assert_eq!(by_object(&changes), [[vec![0], vec![1], vec![2]]]);
    }

    #[test]
    fn the_same_key_in_two_buckets_is_two_objects() {
        let other = Change { bucket: "others".to_owned(), ..change("a", None) };
        assert_eq!(by_object(&[change("a", None), other]).len(), 2);
    }

    #[test]
    fn an_event_that_came_twice_is_done_once() {
        let changes = [change("a", Some("01")), change("a", Some("01")), change("a", Some("02"))];
        assert_eq!(by_object(&changes), [[vec![0, 1], vec![2]]]);
        assert_eq!(by_object(&[of_version("v1", "01"), of_version("v1", "02")]), [[vec![0, 1]]]);
        assert_eq!(by_object(&[of_version("v1", "01"), of_version("v2", "01")]), [[vec![0], vec![1]]]);
    }

    #[test]
    fn a_change_that_has_to_be_done_anew_is_no_repetition() {
        let forced = Change { force: true, ..change("a", Some("01")) };
        assert_eq!(by_object(&[change("a", Some("01")), forced.clone()]), [[vec![0], vec![1]]]);
        assert_eq!(by_object(&[forced, change("a", Some("01"))]), [[vec![0, 1]]]);
    }

    #[test]
    fn what_was_created_removed_and_created_again_is_three_changes() {
        let removed = Change { kind: ChangeKind::Removed, ..of_version("v1", "02") };
        let changes = [of_version("v1", "01"), removed, of_version("v1", "03")];
        assert_eq!(by_object(&changes), [[vec![0], vec![1], vec![2]]]);
    }
}
