//! Patterns that include and exclude files of a tree.

#[cfg(feature = "glob")]
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// No pattern set exists without the feature `glob`: nothing is filtered.
#[cfg(not(feature = "glob"))]
#[derive(Clone, Debug)]
enum GlobSet {}

#[cfg(not(feature = "glob"))]
impl GlobSet {
    const fn is_match(&self, _: &str) -> bool {
        match *self {}
    }
}

/// Patterns of names below the root of a tree. `*` and `?` stop at `/`, `**` does not; a
/// pattern without `/` means files of that name in any folder.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

/// A malformed pattern.
#[cfg(feature = "glob")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(#[from] globset::Error);

impl Filter {
    /// Takes what an `include` pattern matches (everything, if there is none) and no `exclude`
    /// pattern does. An excluded folder is excluded with everything in it.
    ///
    /// # Errors
    ///
    /// [`FilterError`] names the pattern and what is wrong with it.
    #[cfg(feature = "glob")]
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, FilterError> {
        Ok(Self {
            include: set(include)?,
            exclude: set(exclude)?,
        })
    }

    pub(crate) fn takes_file(&self, path: &str) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| include.is_match(path))
            && !self.excludes(path)
    }

    /// Returns whether the path, or a folder on it, is excluded.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let Some(exclude) = &self.exclude else {
            return false;
        };
        // Each folder on the way as well: a pattern that matches a folder excludes what is below
        // it.
        let ends = path.match_indices('/').map(|(at, _)| at);
        ends.chain([path.len()])
            .any(|end| exclude.is_match(&path[..end]))
    }

    /// Returns whether folders are transferred by themselves, empty ones included. An `include`
    /// pattern means files; the folders of what matches are created with them.
    pub(crate) const fn takes_folders(&self) -> bool {
        self.include.is_none()
    }
}

#[cfg(feature = "glob")]
fn set(patterns: &[String]) -> Result<Option<GlobSet>, FilterError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let anywhere = if pattern.contains('/') {
            pattern.trim_end_matches('/').to_owned()
        } else {
            format!("**/{pattern}")
        };
        set.add(
            GlobBuilder::new(&anywhere)
                // `*` stops at `/`, as in a shell; `**` does not.
                .literal_separator(true)
                .build()?,
        );
    }
    Ok(Some(set.build()?))
}

#[cfg(test)]
#[cfg(feature = "glob")]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn patterns_include_and_exclude_and_excluding_wins() {
        assert!(filter(&[], &[]).takes_file("any/thing"));
        let text = filter(&["*.txt"], &["old/", "secret.*"]);
        assert!(text.takes_file("a.txt") && text.takes_file("sub/b.txt"));
        assert!(!text.takes_file("a.bin"));
        assert!(!text.takes_file("old/a.txt") && !text.takes_file("sub/secret.txt"));
        let one = filter(&["sub/*.txt"], &[]);
        assert!(one.takes_file("sub/a.txt"));
        assert!(!one.takes_file("sub/deep/a.txt") && !one.takes_file("a.txt"));
        assert!(filter(&["sub/**"], &[]).takes_file("sub/deep/a"));
    }

    #[test]
    fn a_malformed_pattern_is_named() {
        let error = Filter::new(&["a[".to_owned()], &[]).unwrap_err();
        assert!(error.to_string().contains("a["), "{error}");
    }
}
