//! What becomes of a file that cannot be trusted.

/// What [`build`](crate::DiskProviderBuilder::build) does with a file that is damaged, of another
/// version, or of another program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnDamage {
    /// Answers an error, and leaves the file as it is. The default: somebody should know.
    #[default]
    Refuse,
    /// Renames the file, `.damaged` being added to its name in the place of one that has that name
    /// already, and begins with an empty one.
    StartEmpty,
}
