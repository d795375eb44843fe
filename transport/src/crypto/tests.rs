//! Keys, seals, cookies, one by one.
