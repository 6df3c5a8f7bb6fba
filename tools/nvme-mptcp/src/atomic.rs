// SPDX-License-Identifier: GPL-2.0

//! Files that are there as a whole or not at all, also after a power cut; and that nobody else has a hand in.

use anyhow::{bail, Context, Result};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::Path;
use tempfile::Builder;

/// Makes a directory, if there is none, that is fit for what root will run: a real one that not everybody can write to.
pub fn directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    let found =
        fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    if !found.is_dir() {
        bail!("{} is not a directory itself", path.display());
    }
    if found.mode() & 0o002 != 0 {
        bail!("everybody can write to {}", path.display());
    }
    Ok(())
}

/// Replaces a file. A symbolic link in its place is replaced too, and not followed.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let place = parent(path);
    let failed = || format!("cannot write {}", path.display());
    let mut new = Builder::new().tempfile_in(place).with_context(failed)?;
    new.write_all(text.as_bytes()).with_context(failed)?;
    let file = new.as_file();
    file.set_permissions(Permissions::from_mode(0o644))
        .with_context(failed)?;
    file.sync_all().with_context(failed)?;
    new.persist(path).with_context(failed)?;
    sync(place)
}

/// Makes a symbolic link, or replaces what is there by it.
pub fn link(to: &Path, path: &Path) -> Result<()> {
    let place = parent(path);
    let failed = || format!("cannot make {}", path.display());
    let new = Builder::new().make_in(place, |new| symlink(to, new));
    let new = new.with_context(failed)?.into_temp_path();
    new.persist(path).with_context(failed)?;
    sync(place)
}

/// The name of a file is its directory's data.
fn sync(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("cannot sync {}", directory.display()))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_in_the_place_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (file, other) = (place.path().join("file"), place.path().join("other"));
        fs::write(&other, "kept").unwrap();
        symlink(&other, &file).unwrap();
        write(&file, "new").unwrap();
        assert!(!file.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
        assert_eq!(names(place.path()), ["file", "other"]);
    }

    #[test]
    fn what_cannot_be_put_there_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let taken = place.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write(&taken, "new").is_err());
        assert_eq!(names(place.path()), ["taken"]);
    }

    #[test]
    fn a_link_is_set_right() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("link");
        fs::write(&path, "in the way").unwrap();
        for to in ["/one", "/two"] {
            link(Path::new(to), &path).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(to));
        }
        assert_eq!(names(place.path()), ["link"]);
    }

    #[test]
    fn a_directory_of_everybody_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("a/b");
        directory(&real).unwrap();
        let link = place.path().join("link");
        symlink(&real, &link).unwrap();
        assert!(directory(&link).is_err());
        fs::set_permissions(&real, Permissions::from_mode(0o1777)).unwrap();
        assert!(directory(&real).is_err());
    }
}
