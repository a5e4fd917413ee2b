//! Picks one of several candidates for a user.
