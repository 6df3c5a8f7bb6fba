// SPDX-License-Identifier: GPL-2.0

//! The paths of connections. Pure logic, no kernel in it.

/// Paths of a connection that are looked at. The kernel's path manager makes three unless told, and 64 at most.
pub(crate) const PATHS: usize = 16;

/// A pair of addresses, without ports; of IPv4 the mapped ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) local: [u8; 16],
    pub(crate) remote: [u8; 16],
}

/// A set of at most [`PATHS`] paths; more are left out.
#[derive(Clone, Copy, Default)]
pub(crate) struct PathSet {
    paths: [Path; PATHS],
    used: usize,
}

impl PathSet {
    /// The empty set.
    pub(crate) const fn new() -> Self {
        Self {
            paths: [Path {
                local: [0; 16],
                remote: [0; 16],
            }; PATHS],
            used: 0,
        }
    }

    /// Number of paths.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// All paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().take(self.used)
    }

    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.iter().any(|other| other == path)
    }

    /// Adds a path, unless it is in.
    pub(crate) fn insert(&mut self, path: Path) {
        if self.contains(&path) {
            return;
        }
        if let Some(slot) = self.paths.get_mut(self.used) {
            *slot = path;
            self.used = self.used.saturating_add(1);
        }
    }

    /// The paths that are in both.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let mut both = Self::new();
        for path in self.iter().filter(|path| other.contains(path)) {
            both.insert(*path);
        }
        both
    }

    /// The paths of this set that are not in `other`.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Path> {
        self.iter().filter(move |path| !other.contains(path))
    }

    /// Whether both have the same paths.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.used == other.used && self.without(other).next().is_none()
    }
}

#[cfg(any(test, host))]
#[cfg_attr(not(test), kernel::prelude::kunit_tests(nvme_mptcp_paths))]
mod tests {
    use super::*;

    fn path(n: u8) -> Path {
        Path {
            local: [n; 16],
            remote: [n ^ 255; 16],
        }
    }

    fn set(paths: &[u8]) -> PathSet {
        let mut set = PathSet::new();
        for n in paths {
            set.insert(path(*n));
        }
        set
    }

    #[test]
    fn each_is_in_once() {
        let set = set(&[1, 2, 1, 2, 3]);
        assert_eq!(set.len(), 3);
        assert!(set.contains(&path(3)) && !set.contains(&path(4)));
    }

    #[test]
    fn the_other_address_is_another_path() {
        let mut set = set(&[1]);
        set.insert(Path {
            remote: [7; 16],
            ..path(1)
        });
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn order_does_not_matter() {
        assert!(set(&[1, 2]).same(&set(&[2, 1])));
        assert!(!set(&[1, 2]).same(&set(&[2])));
        assert!(!set(&[1, 2]).same(&set(&[2, 3])));
        assert!(set(&[]).same(&PathSet::new()));
    }

    #[test]
    fn what_came_and_went() {
        let (before, now) = (set(&[1, 2, 3]), set(&[3, 4]));
        assert!(before.without(&now).eq([path(1), path(2)].iter()));
        assert!(now.without(&before).eq([path(4)].iter()));
        assert!(before.common(&now).same(&set(&[3])));
    }

    #[test]
    fn too_many_are_left_out() {
        let mut set = PathSet::new();
        for n in 0..40 {
            set.insert(path(n));
        }
        assert_eq!(set.len(), PATHS);
        assert!(set.contains(&path(PATHS as u8 - 1)) && !set.contains(&path(PATHS as u8)));
    }
}
