//! What belongs to a user is readable with that user's key, and gone when the key is.
