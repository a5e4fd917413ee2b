//! Makes bodies and heads: labels from a language model, joint training, fitting a new user.
