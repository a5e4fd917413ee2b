//! Orders a user's records for a query.
