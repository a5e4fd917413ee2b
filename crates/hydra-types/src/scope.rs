//! Acting for one user.

use crate::UserId;

/// The proof, as a value, of acting for one user: every read and write of user data takes one.
///
/// Mint it where the caller was authenticated, and pass it down; whoever holds only a [`UserId`] can name a user but
/// not reach anything of theirs. There is no default, no conversion from a number or an id, and no deserialisation, so
/// that every place where a scope begins is found by searching for `acting_for`.
///
/// ```
/// use hydra_types::{Scope, UserId};
///
/// let scope = Scope::acting_for(UserId::new(42));
/// assert_eq!(scope.user(), UserId::new(42));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub struct Scope {
    user: UserId,
}

impl Scope {
    /// The scope of `user`. The caller vouches that it acts for that user.
    pub const fn acting_for(user: UserId) -> Self {
        Self { user }
    }

    /// Whose scope it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }
}
