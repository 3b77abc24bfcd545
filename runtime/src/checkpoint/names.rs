//! Object names: checkpoint id ↔ path, and the checkpoints in a listing.

use super::bucket::ListedObject;
use std::collections::BTreeMap;
use tallow_dataflow::CheckpointId;
use tallow_model::EventTime;

/// Returns the folder of a checkpoint. The names sort as the checkpoints do.
pub(super) fn folder(id: CheckpointId) -> String {
    format!("{:020}-{}", id.frontier.millis(), run_text(id.run))
}

/// Parses a folder name into a checkpoint id.
pub(super) fn id_of(folder: &str) -> Option<CheckpointId> {
    let (frontier, run) = folder.split_once('-')?;
    let id = CheckpointId {
        frontier: EventTime(frontier.parse().ok()?),
        run: u128::from_str_radix(run, 16).ok()?,
    };
    // Another spelling of the same number is not one of Tallow's names.
    (self::folder(id) == folder).then_some(id)
}

/// Returns the object name of a part.
pub(super) fn part(id: CheckpointId, worker: usize, workers: usize) -> String {
    format!("{}/{}", folder(id), part_file(worker, workers))
}

fn part_file(worker: usize, workers: usize) -> String {
    format!("part-{worker:05}-of-{workers:05}")
}

fn part_of(file: &str) -> Option<(usize, usize)> {
    let (worker, workers) = file.strip_prefix("part-")?.split_once("-of-")?;
    let (worker, workers) = (worker.parse().ok()?, workers.parse().ok()?);
    (worker < workers && part_file(worker, workers) == file).then_some((worker, workers))
}

/// The parts of a checkpoint in a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListedParts {
    /// The size of each part, by the number of workers in its name and its worker.
    parts: BTreeMap<(usize, usize), u64>,
}

impl ListedParts {
    /// Returns the sizes of the parts if all are there; otherwise the defect.
    pub(super) fn complete(&self) -> Result<Vec<u64>, String> {
        let Some(&(workers, _)) = self.parts.keys().next_back() else {
            return Err("it has no parts".to_owned());
        };
        let mut sizes = Vec::new();
        for worker in 0..workers {
            match self.parts.get(&(workers, worker)) {
                Some(size) => sizes.push(*size),
                None => {
                    let (part, file) = (worker + 1, part_file(worker, workers));
                    return Err(format!("part {part} of {workers} is missing ({file})"));
                }
            }
        }
        if self.parts.len() > workers {
            return Err("it has parts of different numbers of workers".to_owned());
        }
        Ok(sizes)
    }
}

/// Returns the checkpoints in a listing, in their order. Other objects are ignored.
pub(super) fn checkpoints<'a>(
    listed: impl IntoIterator<Item = &'a ListedObject>,
) -> BTreeMap<CheckpointId, ListedParts> {
    let mut checkpoints: BTreeMap<CheckpointId, ListedParts> = BTreeMap::new();
    for object in listed {
        let Some((folder, file)) = object.name.split_once('/') else { continue };
        if let (Some(id), Some((worker, workers))) = (id_of(folder), part_of(file)) {
            checkpoints.entry(id).or_default().parts.insert((workers, worker), object.size);
        }
    }
    checkpoints
}

/// Returns a run as it stands in names, padded so that texts sort as runs do.
pub(super) fn run_text(run: u128) -> String {
    format!("{run:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str) -> ListedObject {
        ListedObject { name: name.to_owned(), size: 1, written_ms: 0 }
    }

    #[test]
    fn names_sort_as_checkpoints_do_and_read_back() {
        let ids = [(0, 0), (1, u128::MAX), (9, 1), (10, 0), (10, 1 << 90), (u64::MAX, 7)]
            .map(|(frontier, run)| CheckpointId { frontier: EventTime(frontier), run });
        let names = ids.map(folder);
        assert!(ids.is_sorted() && names.is_sorted());
        assert_eq!(names.each_ref().map(|name| id_of(name)), ids.map(Some));
        for other in ["runs", "1-1", "+0000000000000000001-00000000000000000000000000000001", ""] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_checkpoint_is_complete_when_each_part_is_there_and_none_of_another_count() {
        let id = CheckpointId { frontier: EventTime(60_000), run: 1 };
        let of = |names: &[(usize, usize)]| {
            let listed: Vec<ListedObject> =
                names.iter().map(|(worker, workers)| listed(&part(id, *worker, *workers))).collect();
            checkpoints(&listed).remove(&id).unwrap_or_default().complete()
        };
        assert_eq!(of(&[(0, 2), (1, 2)]), Ok(vec![1, 1]));
        assert_eq!(of(&[(0, 3), (2, 3)]), Err("part 2 of 3 is missing (part-00001-of-00003)".to_owned()));
        assert!(of(&[(0, 1), (0, 2), (1, 2)]).is_err());
        assert!(of(&[]).is_err());
        assert_eq!(
            of(&[(99_998, 99_999)]),
            Err("part 1 of 99999 is missing (part-00000-of-99999)".to_owned())
        );
    }

    #[test]
    fn what_is_no_part_is_left_alone() {
        let others = ["README", "runs/1", "other/part-00000-of-00001", "x/y/z"].map(listed);
        assert!(checkpoints(&others).is_empty());
    }
}
